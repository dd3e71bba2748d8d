//! The tables as diesel sees them; the migrations are the truth.

diesel::table! {
    plans (id) {
        id -> BigInt,
        plan_id -> Text,
        correlation_id -> Text,
        session_id -> Text,
        intent -> Text,
        confidence -> Double,
        target -> Nullable<Text>,
        risk -> Text,
        status -> Text,
        actions -> Text,
        work -> Text,
        result -> Nullable<Text>,
        token_digest -> Text,
        created_at -> Text,
        updated_at -> Text,
        expires_at -> Text,
        org_id -> Text,
    }
}

diesel::table! {
    plan_approvals (plan_id) {
        plan_id -> Text,
        step -> Text,
        decision -> Nullable<Text>,
        due_at -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(plans, plan_approvals);

diesel::table! {
    power_windows (id) {
        id -> BigInt,
        window_id -> Text,
        services -> Text,
        services_started -> Text,
        mode -> Text,
        reason -> Text,
        created_at -> Text,
        deadline -> Nullable<Text>,
        closed_at -> Nullable<Text>,
    }
}

diesel::table! {
    power_policies (policy) {
        policy -> Text,
        active -> Bool,
        updated_at -> Text,
    }
}
