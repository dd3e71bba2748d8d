"""What of schemathesis' own judgement has to give way, and why. Nothing else is left out here; what is left out of a route
is in schemathesis.toml."""

import re

import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance

API = "/operator/api"
RULES = rf"{API}/(units|guard-rules/{{rule_id}})"

# Fields whose values a schema cannot describe: a request that fits its document may still be refused over one of them, by
# its name. (The path and the field, as the refusal names it, and why.)
BEYOND_SCHEMAS = [
    (r"/madre/plans", r"before", "a place in a list, which only an earlier page can give"),
    (rf"{API}/(audit|audit-log|keys|sessions)", r"before", "as above"),
    (rf"{API}/(interventions|notifications/deliveries|units)", r"cursor", "as above"),
    (rf"{API}/audit-log/verify", r"seq|hash", "the two come together, which parameters cannot say of each other"),
    (rf"{API}/keys", r"expires_at", "must be in the future"),
    (rf"{API}/interventions", r"allow", "what can be decided depends on what is asked"),
    (rf"{API}/interventions", r"callback_url", "webhooks need a secret; none is set here, so that nobody is called"),
    (rf"{API}/units/{{id}}/transitions", r"step", "a transition has a step or a status"),
    (RULES, r".*guardian(\.of)*\.allow", "a filter has ways that are open, or ways that are closed"),
    (RULES, r".*guardian(\.of)*", "guardians within guardians have a depth and a number in all"),
    (RULES, r".*\.value", "what a field is compared with depends on how"),
    (rf"{API}/units", r"rules\[\d+\]\.rule_id", "each rule has a name of its own, and none is `kill_switch`"),
    (rf"{API}/keys(/{{id}})?", r"limits", "are for keys of the gateway"),
    (rf"{API}/keys(/{{id}})?", r"limits\.budget\.usd", "at most 12 decimals"),
    (rf"{API}/keys(/{{id}})?", r"limits\.models", "a `*` stands only at the end of a name"),
    (rf"/madre/power/window/open|{API}/chat/window/open", r"services", "the names of what runs here"),
    (r"/admin/faults", r"plan", "the language of faults"),
]


def is_beyond_schemas(path, field):
    return any(re.fullmatch(paths, path) and re.fullmatch(fields, field) for paths, fields, _ in BEYOND_SCHEMAS)


@schemathesis.check
def valid_data_is_accepted(ctx, response, case):
    """positive_data_acceptance, in place of which it stands, but for what no schema can say."""
    if response.status_code == 422:
        refusal = response.json()
        field = refusal.get("error", {}).get("field", "")
        if is_beyond_schemas(case.path, field):
            return None
        # utoipa does not say of a variant that has a tag that it has no other fields.
        if "guardian." in field and refusal["detail"].startswith("unknown field"):
            return None
        # LangChain's list is of one interrupt. For a list of fixed length utoipa writes no maxItems.
        if field == "." and isinstance(case.body, list) and case.path == "/operator/api/interventions":
            return None
    return positive_data_acceptance(ctx, response, case)


def whole(value):
    """JSON Schema counts 656.0 among the integers. No generated client writes one so, and serde refuses it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


@schemathesis.hook
def map_body(_, body):
    return whole(body)
