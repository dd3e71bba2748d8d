//! What is read of the tables, as diesel sees it; the migrations are the truth.

diesel::table! {
    sessions (session_id, org_id) {
        session_id -> Text,
        org_id -> Text,
        created_at -> Text,
        last_activity_at -> Text,
        turns -> BigInt,
    }
}

diesel::table! {
    turns (id) {
        id -> BigInt,
        timestamp -> Text,
        session_id -> Text,
        correlation_id -> Text,
        message -> Text,
        extras -> Nullable<Text>,
        response -> Text,
        provider -> Text,
        model_used -> Text,
        status -> Text,
        degraded -> Bool,
        fallback_source -> Nullable<Text>,
        latency_ms -> BigInt,
        prompt_tokens -> Nullable<BigInt>,
        completion_tokens -> Nullable<BigInt>,
        org_id -> Text,
    }
}

diesel::table! {
    performance_minutes (minute, org_id, writer_id) {
        minute -> Text,
        org_id -> Text,
        writer_id -> Text,
        summary -> Text,
    }
}
