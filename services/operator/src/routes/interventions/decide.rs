//! What pilots do with a request, and what its author does.

use std::time::Duration;

use actix_web::post;
use actix_web::web::{self, Data};
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Path};
use vx11_contracts::ErrorBody;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{
    CancelBody, ClaimBody, CompleteBody, DecisionBody, EditBody, Intervention, RedeemBody, RespondBody,
};
use vx11_contracts::operator::Envelope;

use super::refused;
use crate::domain::audit::Origin;
use crate::domain::intervention::Command;
use crate::routes::origin::CameFrom;
use crate::state::State;

type Done = Result<web::Json<Envelope<Intervention>>, ApiError>;

/// Carries out `command` for a caller that has `permission`.
async fn act(
    state: &State,
    caller: &Caller,
    origin: Origin,
    permission: Permission,
    id: &str,
    command: Command,
) -> Done {
    let principal = caller.require(permission)?;
    let after = state.desk.act(principal, origin, id, command).await.map_err(refused)?;
    Ok(web::Json(Envelope::new(after)))
}

/// Declares a route that carries out one command.
macro_rules! command {
    ($(#[doc = $doc:literal])+ $name:ident $path:literal $id:literal, $permission:ident, $body:ident => $command:expr) => {
        $(#[doc = $doc])+
        #[utoipa::path(operation_id = $id, tag = "interventions", params(("id" = String, Path)), request_body = $body, responses(
            (status = 200, body = Envelope<Intervention>),
            (status = 400, body = ErrorBody),
            (status = 403, body = ErrorBody),
            (status = 404, body = ErrorBody),
            (status = 409, body = ErrorBody, description = "it stands elsewhere; a decision that won is in `error.intervention`"),
            (status = 422, body = ErrorBody),
            (status = 503, body = ErrorBody),
        ))]
        #[post($path)]
        pub(crate) async fn $name(
            state: Data<State>,
            caller: Caller,
            from: CameFrom,
            id: Path<String>,
            body: Json<$body>,
        ) -> Done {
            let command = $command;
            act(&state, &caller, from.0, Permission::$permission, &id, command(&state, body.0)).await
        }
    };
}

command! {
    /// Take it up: others cannot decide it until the claim lapses.
    claim "/interventions/{id}/claim" "claim_intervention", DecideInterventions, ClaimBody => |state: &State, body: ClaimBody| {
        let most = state.config.interventions.claim;
        Command::Claim { lease: body.seconds.map_or(most, |seconds| most.min(Duration::from_secs(seconds.into()))) }
    }
}

command! {
    /// Give it back.
    release "/interventions/{id}/release" "release_intervention", DecideInterventions, ClaimBody => |_, _| Command::Release
}

command! {
    /// Let the action run; or answer a question with yes.
    approve "/interventions/{id}/approve" "approve_intervention", DecideInterventions, DecisionBody => |_, body| Command::Approve(body)
}

command! {
    /// Do not let the action run.
    reject "/interventions/{id}/reject" "reject_intervention", DecideInterventions, DecisionBody => |_, body| Command::Reject(body)
}

command! {
    /// Let the action run with other arguments.
    edit "/interventions/{id}/edit" "edit_intervention", DecideInterventions, EditBody => |_, body| Command::Edit(body)
}

command! {
    /// Answer with a text.
    respond "/interventions/{id}/respond" "respond_to_intervention", DecideInterventions, RespondBody => |_, body| Command::Respond(body)
}

command! {
    /// Withdraw it, as whoever asked.
    cancel "/interventions/{id}/cancel" "cancel_intervention", OpenInterventions, CancelBody => |_, body| Command::Cancel(body)
}

command! {
    /// Close it without a decision: what was needed is done.
    complete "/interventions/{id}/complete" "complete_intervention", DecideInterventions, CompleteBody => |_, body| Command::Complete(body)
}

command! {
    /// Take the decision, once, as whoever asked.
    redeem "/interventions/{id}/redeem" "redeem_intervention", OpenInterventions, RedeemBody => |_, body| Command::Redeem(body)
}
