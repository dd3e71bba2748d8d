//! The tables that are read, as diesel sees them; the migrations are the truth.

diesel::table! {
    sessions (session_id) {
        session_id -> Text,
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
        reasoning -> Nullable<Text>,
        provider -> Text,
        model_used -> Text,
        status -> Text,
        degraded -> Bool,
        fallback_source -> Nullable<Text>,
        latency_ms -> BigInt,
        prompt_tokens -> Nullable<BigInt>,
        completion_tokens -> Nullable<BigInt>,
    }
}

diesel::table! {
    performance_minutes (minute, writer_id) {
        minute -> Text,
        writer_id -> Text,
        summary -> Text,
    }
}
