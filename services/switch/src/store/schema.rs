//! The tables, as the migrations make them.

diesel::table! {
    usage_ledger (id) {
        id -> BigInt,
        timestamp -> Text,
        correlation_id -> Text,
        org -> Text,
        team -> Text,
        api_key -> Text,
        model -> Text,
        provider -> Text,
        provider_model -> Text,
        prompt_tokens -> BigInt,
        cached_tokens -> BigInt,
        completion_tokens -> BigInt,
        reasoning_tokens -> BigInt,
        estimated -> Bool,
        cost_picos -> BigInt,
        latency_ms -> BigInt,
    }
}
