-- What is still to be said to the operator about a plan that waits, or waited, for a person. A row is made in the
-- transaction that makes the plan, changes in those that change the plan, and goes when there is nothing more to say:
--   open    the intervention is to be opened
--   watch   it is open, and its decision is waited for
--   redeem  it is approved and the plan is claimed for it: the approval is to be redeemed, and nothing has begun
--   run     it is redeemed, and the plan's work has begun
--   tell    the outcome is to be told in the chat session
--   close   the plan ended otherwise: the intervention is to be withdrawn
CREATE TABLE plan_approvals (
    plan_id  TEXT NOT NULL PRIMARY KEY,
    step     TEXT NOT NULL,
    decision TEXT, -- how it was decided, for the chat session
    due_at   TEXT NOT NULL -- not to be looked at before
) WITHOUT ROWID;
CREATE INDEX approvals_by_due ON plan_approvals (due_at);
-- Whoever deletes plans cannot forget it.
CREATE TRIGGER approvals_go_with_plans AFTER DELETE ON plans BEGIN
    DELETE FROM plan_approvals WHERE plan_id = OLD.plan_id;
END;

-- Plans that wait already are opened too.
INSERT INTO plan_approvals (plan_id, step, due_at)
    SELECT plan_id, 'open', strftime('%Y-%m-%dT%H:%M:%fZ', 'now') FROM plans WHERE status = 'WAITING';
