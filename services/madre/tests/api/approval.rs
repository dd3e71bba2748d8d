//! Plans that people approve at the operator's desk.

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::fixture::{Home, Madre, eventually};

fn home(desk: &Desk) -> Home {
    Home::new().with("VX11_OPERATOR_URL", &desk.url)
}

async fn plan(madre: &Madre, plan_id: &str) -> Value {
    madre.get(&format!("/madre/plans/{plan_id}")).await.json()
}

/// Waits until the plan has ended, and answers with it.
async fn ended(madre: &Madre, plan_id: &str) -> Value {
    let has_ended = async || ["DONE", "ERROR"].map(Value::from).contains(&plan(madre, plan_id).await["status"]);
    eventually("the plan has ended", has_ended).await;
    plan(madre, plan_id).await
}

#[tokio::test]
async fn a_plan_that_waits_opens_an_intervention_that_says_what_it_would_do() {
    let desk = Desk::start();
    let madre = home(&desk).start().await;
    for (message, role, priority) in
        [("restart the switch", "OPERATOR", "normal"), ("stop mock-provider", "ADMIN", "high")]
    {
        let answer = madre.chat(message).await;
        let plan_id = answer["plan_id"].as_str().expect("an id");
        assert_eq!(answer["intervention_id"], format!("plan:{plan_id}"));
        let opened = desk.opened(plan_id).await;
        assert_eq!((&opened["required_role"], &opened["priority"]), (&json!(role), &json!(priority)));
        assert_eq!((&opened["intervention_type"], &opened["uow_id"]), (&json!("plan"), &json!(plan_id)));
        assert_eq!((&opened["allow"], &opened["on_timeout"]), (&json!(["approve", "reject"]), &json!("reject")));
        assert_eq!(opened["context"]["session_id"], "s1");
        let left = opened["expires_in_seconds"].as_i64().expect("a number");
        assert!((800..900).contains(&left), "{left}");
        let commands = opened["action"]["args"]["commands"].as_array().expect("a list");
        assert_eq!(commands.len(), 1, "{opened}");
    }
}

#[tokio::test]
async fn a_plan_is_a_unit_of_work_from_its_wait_to_its_end() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let (approved, _) = madre.waiting("restart the switch").await;
    desk.opened(&approved).await;
    let unit = desk.unit(&approved).expect("it was registered before");
    assert_eq!((&unit["status"], &unit["instance_id"]), (&json!("PENDING"), &json!("madre")), "{unit}");
    assert_eq!(unit["data"]["session_id"], "s1");
    assert_eq!(unit["data"]["intervention_id"], format!("plan:{approved}"));
    assert!(desk.approve(&approved));
    let over = desk.unit_is(&approved, "COMPLETED").await;
    assert_eq!(over["reason"], "restart switch: done.");

    let (rejected, _) = madre.waiting("restart the switch").await;
    desk.opened(&rejected).await;
    assert!(desk.decide(&rejected, "REJECTED", json!({ "reason": "not now" })));
    desk.unit_is(&rejected, "FAILED").await;

    let (by_hand, _) = madre.waiting("restart the switch").await;
    desk.opened(&by_hand).await;
    desk.end(&by_hand, "COMPLETED");
    desk.unit_is(&by_hand, "COMPLETED").await;

    let (confirmed, token) = madre.waiting("restart the switch").await;
    desk.opened(&confirmed).await;
    assert_eq!(madre.confirm(&confirmed, &token).await["status"], "DONE");
    desk.unit_is(&confirmed, "COMPLETED").await;
    eventually("nothing more is said about them", async || {
        [&approved, &rejected, &by_hand, &confirmed].iter().all(|id| steps(&home, id).is_empty())
    })
    .await;
}

#[tokio::test]
async fn what_a_pilot_or_a_rule_has_stopped_is_approved_for_nothing() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    for (n, status) in ["FAILED", "PAUSED"].into_iter().enumerate() {
        let (plan_id, _) = madre.waiting("restart the switch").await;
        desk.opened(&plan_id).await;
        desk.move_unit(&plan_id, status);
        assert!(desk.approve(&plan_id));
        let over = ended(&madre, &plan_id).await;
        let result = over["result"].as_str().expect("a text");
        assert!(over["status"] == "ERROR" && result.contains(&format!("the unit is {status}")), "{over}");
        eventually("the session is told", async || desk.turns().len() == n + 1).await;
        desk.unit_is(&plan_id, "FAILED").await;
        assert_eq!(desk.find(&plan_id).expect("there")["status"], "APPROVED", "it is not used for that");
    }
    assert!(home.driver.take_calls().is_empty() && desk.redeemed().is_empty());
}

#[tokio::test]
async fn a_kill_switch_stops_a_plan_before_its_next_command() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let (plan_id, _) = madre.waiting("stop the switch and restart mock-provider").await;
    let opened = desk.opened(&plan_id).await;
    assert_eq!(opened["action"]["args"]["commands"].as_array().expect("a list").len(), 2, "{opened}");
    desk.kill_what_runs();
    assert!(desk.approve(&plan_id));
    let over = ended(&madre, &plan_id).await;
    let result = over["result"].as_str().expect("a text");
    assert!(over["status"] == "ERROR" && result.contains("its unit of work is PAUSED: runaway"), "{over}");
    assert_eq!(home.driver.take_calls(), ["stop switch"], "and no more");
    desk.unit_is(&plan_id, "FAILED").await;
}

#[tokio::test]
async fn a_plan_that_outran_what_would_have_held_it_leaves_no_unit_behind() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let (killed, _) = madre.waiting("restart the switch").await;
    desk.opened(&killed).await;
    desk.kill_what_runs();
    assert!(desk.approve(&killed));
    assert_eq!(ended(&madre, &killed).await["status"], "DONE", "it had one command");
    assert_eq!(desk.unit_is(&killed, "FAILED").await["reason"], "it ran all the same: restart switch: done.");

    let (confirmed, token) = madre.waiting("restart the switch").await;
    desk.opened(&confirmed).await;
    desk.park_what_runs();
    assert_eq!(madre.confirm(&confirmed, &token).await["status"], "DONE", "its token asks nobody");
    desk.unit_is(&confirmed, "FAILED").await;
    eventually("nothing more is said about it", async || steps(&home, &confirmed).is_empty()).await;
}

#[tokio::test]
async fn a_plan_whose_unit_is_somebody_elses_is_run_by_its_token_alone() {
    let url = vx11_testing::nobody();
    let home = Home::new().with("VX11_OPERATOR_URL", &url);
    let madre = home.start().await;
    let (squatted, token) = madre.waiting("restart the switch").await;
    let (of_another, _) = madre.waiting("restart the switch").await;
    let (begun, _) = madre.waiting("restart the switch").await;
    let desk = Desk::at(&url);
    desk.put_unit(&squatted, "an-agent", "madre");
    desk.put_unit(&of_another, "service", "agent-7");
    // As a madre leaves it that died before it opened the intervention.
    desk.put_unit(&begun, "service", "madre");
    madre.waiting("restart the switch").await;
    desk.opened(&begun).await;
    eventually("nothing more is said about them", async || {
        [&squatted, &of_another].iter().all(|id| steps(&home, id).is_empty())
    })
    .await;
    assert!(desk.find(&squatted).is_none() && desk.find(&of_another).is_none(), "nobody is asked");
    assert_eq!(madre.confirm(&squatted, &token).await["status"], "DONE");
    assert_eq!(desk.unit(&squatted).expect("there")["status"], "PENDING", "and it is left alone");
}

#[tokio::test]
async fn an_approval_runs_the_plan_once_and_the_session_is_told() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("restart the switch").await;
    desk.opened(&plan_id).await;
    assert!(desk.decide(&plan_id, "APPROVED", json!({ "reason": "go" })));
    assert!(!desk.approve(&plan_id), "there is one decision");

    let done = ended(&madre, &plan_id).await;
    assert_eq!((&done["status"], &done["result"]), (&json!("DONE"), &json!("restart switch: done.")));
    let told = desk.told().await;
    assert_eq!((&told["session_id"], &told["correlation_id"]), (&json!("s1"), &done["correlation_id"]));
    assert_eq!(told["message"], format!("plan:{plan_id} was approved by ana (go)."));
    assert_eq!((&told["response"], &told["status"]), (&done["result"], &json!("DONE")));
    let late = madre.confirm(&plan_id, &token).await;
    assert_eq!((late.status, late.code()), (409, "conflict"));
    assert_eq!(desk.find(&plan_id).expect("there")["status"], "COMPLETED");

    // What has ended stays so, also for the next madre.
    madre.stop().await;
    let madre = home.start().await;
    let (other, _) = madre.waiting("restart the switch").await;
    desk.opened(&other).await;
    assert_eq!(home.driver.take_calls(), ["stop switch", "start switch"]);
    assert_eq!((desk.redeemed().len(), desk.turns().len()), (1, 1));
    let trail = madre.get(&format!("/madre/audit/{}", told["correlation_id"].as_str().expect("an id"))).await;
    assert!(trail.body.contains("plan_approve"), "{}", trail.body);
}

#[tokio::test]
async fn what_is_not_approved_as_it_is_ends_and_nothing_runs() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let edited = json!({ "kind": "edit", "args": { "commands": [] } });
    let cases = [
        ("REJECTED", json!({ "reason": "not now" }), "ERROR", "was rejected by ana (not now)"),
        ("REJECTED", json!({ "kind": "respond", "response": "later" }), "ERROR", "was rejected by ana"),
        ("APPROVED", edited, "ERROR", "with other arguments"),
        ("COMPLETED", json!({ "kind": "approve", "redeemed_by": "eve" }), "ERROR", "was approved by ana"),
        ("EXPIRED", Value::Null, "ERROR", "expired"),
        ("COMPLETED", Value::Null, "DONE", "closed by hand"),
    ];
    for (n, (status, with, comes_to, said)) in cases.into_iter().enumerate() {
        let (plan_id, token) = madre.waiting("restart the switch").await;
        desk.opened(&plan_id).await;
        if with.is_null() {
            desk.end(&plan_id, status);
        } else {
            assert!(desk.decide(&plan_id, status, with));
        }
        let over = ended(&madre, &plan_id).await;
        assert_eq!(over["status"], comes_to, "{over}");
        eventually("the session is told", async || desk.turns().len() == n + 1).await;
        let told = &desk.turns()[n];
        assert!(told["message"].as_str().expect("a text").contains(said), "{told}");
        assert_eq!((&told["response"], &told["status"]), (&over["result"], &over["status"]));
        assert_eq!(madre.confirm(&plan_id, &token).await.status, 409);
    }
    assert!(home.driver.take_calls().is_empty() && desk.redeemed().is_empty());
}

#[tokio::test]
async fn an_intervention_that_somebody_else_made_for_the_plan_means_nothing() {
    let url = vx11_testing::nobody();
    let home = Home::new().with("VX11_OPERATOR_URL", &url);
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("stop the switch").await;
    // Who knows the id asks for an OPERATOR's approval of what only an ADMIN may.
    let desk = Desk::at(&url);
    let made = json!({
        "request_id": format!("plan:{plan_id}"), "intervention_type": "plan", "title": "t", "status": "PENDING",
        "required_role": "OPERATOR", "created_by": "an-agent", "on_timeout": "reject",
        "action": { "name": "stop_service", "args": { "commands": [{ "action": "stop", "service": "switch" }],
            "manual": [] }, "args_digest": "the digest" },
        "org_id": "default", "priority": "normal", "description": "", "context": {}, "allow": ["approve"],
        "created_at": "", "escalation": [], "escalated": 0, "votes": [], "format": "vx11", "version": 1,
    });
    desk.put(&format!("plan:{plan_id}"), made);
    assert!(desk.approve(&plan_id));
    let (other, _) = madre.waiting("restart the switch").await;
    desk.opened(&other).await;
    eventually("nothing more is said about it", async || steps(&home, &plan_id).is_empty()).await;
    assert_eq!(plan(&madre, &plan_id).await["status"], "WAITING");
    assert!(home.driver.take_calls().is_empty() && desk.redeemed().is_empty());
    assert_eq!(madre.confirm(&plan_id, &token).await["status"], "DONE", "its token still works");
}

#[tokio::test]
async fn an_operator_that_is_away_costs_nothing_but_time() {
    let url = vx11_testing::nobody();
    let home = Home::new().with("VX11_OPERATOR_URL", &url);
    let madre = home.start().await;
    let (first, _) = madre.waiting("restart the switch").await;
    let (confirmed, token) = madre.waiting("restart mock-provider").await;
    assert_eq!(madre.confirm(&confirmed, &token).await["status"], "DONE", "madre alone works as ever");
    madre.stop().await;

    let madre = home.start().await;
    let (second, _) = madre.waiting("restart the switch").await;
    let desk = Desk::at(&url);
    // A plan more is a reason to try again at once.
    madre.waiting("restart the switch").await;
    desk.opened(&first).await;
    desk.opened(&second).await;
    assert!(desk.find(&confirmed).is_none(), "what does not wait is not asked about");
    home.driver.take_calls();
    assert!(desk.approve(&first));
    assert_eq!(ended(&madre, &first).await["status"], "DONE");
    assert_eq!(home.driver.take_calls(), ["stop switch", "start switch"]);
    desk.stop().await;
}

#[tokio::test]
async fn a_confirmation_withdraws_the_intervention() {
    let desk = Desk::start();
    let madre = home(&desk).start().await;
    let (plan_id, token) = madre.waiting("restart the switch").await;
    desk.opened(&plan_id).await;
    assert_eq!(madre.confirm(&plan_id, &token).await["status"], "DONE");
    eventually("it is withdrawn", async || desk.find(&plan_id).expect("there")["status"] == "REJECTED").await;
    assert_eq!(desk.find(&plan_id).expect("there")["decision"]["by"], "service");
    assert!(desk.turns().is_empty(), "who confirmed has the answer");
}

#[tokio::test]
async fn of_an_approval_and_a_confirmation_exactly_one_runs_the_plan() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let mut by_approval = 0;
    for n in 0..40 {
        let (plan_id, token) = madre.waiting("restart the switch").await;
        desk.opened(&plan_id).await;
        assert!(desk.approve(&plan_id));
        // A plan more wakes madre, which then looks at both: the confirmation comes at about that time.
        let wake = async {
            if n % 2 == 0 {
                madre.waiting("delete the logs").await;
            }
        };
        let (confirmed, ()) = futures_util::join!(madre.confirm(&plan_id, &token), wake);
        assert!([200, 409].contains(&confirmed.status), "{}", confirmed.body);
        assert_eq!(ended(&madre, &plan_id).await["status"], "DONE");
        assert_eq!(home.driver.take_calls(), ["stop switch", "start switch"]);
        by_approval += usize::from(confirmed.status == 409);
        assert_eq!(desk.redeemed().len(), by_approval, "what was not run by it is not redeemed");
    }
}

#[tokio::test]
async fn a_madre_that_died_between_redeeming_and_running_runs_it_once_at_its_next_start() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let (plan_id, token) = madre.waiting("restart the switch").await;
    desk.opened(&plan_id).await;
    desk.lose_answers(true);
    assert!(desk.approve(&plan_id));
    eventually("it is redeemed", async || !desk.redeemed().is_empty()).await;
    assert_eq!(plan(&madre, &plan_id).await["status"], "RUNNING");
    assert_eq!(madre.confirm(&plan_id, &token).await.status, 409);
    madre.stop().await;
    assert!(home.driver.take_calls().is_empty());

    desk.lose_answers(false);
    let madre = home.start().await;
    assert_eq!(ended(&madre, &plan_id).await["status"], "DONE");
    assert_eq!(desk.told().await["status"], "DONE");
    assert_eq!(home.driver.take_calls(), ["stop switch", "start switch"]);
    assert_eq!(desk.redeemed().len(), 1);
}

#[tokio::test]
async fn a_madre_that_died_while_the_plan_ran_does_not_run_it_again_and_says_so() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let (plan_id, _) = madre.waiting("restart the switch").await;
    desk.opened(&plan_id).await;
    madre.stop().await;
    home.stranger()
        .batch_execute(
            "UPDATE plans SET status = 'RUNNING', updated_at = '2020-01-01T00:00:00.000Z';
             UPDATE plan_approvals SET step = 'run', decision = 'it was approved'",
        )
        .expect("updated");
    let madre = home.start().await;
    assert_eq!(ended(&madre, &plan_id).await["status"], "ERROR");
    let told = desk.told().await;
    assert!(told["response"].as_str().expect("a text").contains("madre stopped while this ran"), "{told}");
    assert!(home.driver.take_calls().is_empty());
}

#[tokio::test]
async fn what_was_approved_too_long_ago_is_not_run_any_more() {
    let desk = Desk::start();
    let home = home(&desk);
    let madre = home.start().await;
    let (plan_id, _) = madre.waiting("restart the switch").await;
    desk.opened(&plan_id).await;
    madre.stop().await;
    assert!(desk.approve(&plan_id));
    home.stranger()
        .batch_execute(
            "UPDATE plans SET status = 'RUNNING', expires_at = '2020-01-01T00:00:00.000Z';
             UPDATE plan_approvals SET step = 'redeem', decision = 'it was approved'",
        )
        .expect("updated");
    let madre = home.start().await;
    assert_eq!(ended(&madre, &plan_id).await["status"], "ERROR");
    assert!(desk.told().await["response"].as_str().expect("a text").contains("in time"));
    assert!(home.driver.take_calls().is_empty() && desk.redeemed().is_empty());
}

/// The steps that the store has for a plan: one or none.
fn steps(home: &Home, plan_id: &str) -> Vec<String> {
    use diesel::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        step: String,
    }
    let rows: Vec<Row> = diesel::sql_query(format!("SELECT step FROM plan_approvals WHERE plan_id = '{plan_id}'"))
        .load(&mut home.stranger())
        .expect("rows");
    rows.into_iter().map(|row| row.step).collect()
}
