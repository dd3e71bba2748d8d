DROP TRIGGER approvals_go_with_plans;
DROP TABLE plan_approvals;
