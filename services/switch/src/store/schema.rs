//! The tables, as the migrations make them.

diesel::table! {
    // Rows have an `id` besides, which nobody asks for.
    usage_ledger (correlation_id) {
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
        from_cache -> Bool,
        cache_written_tokens -> BigInt,
    }
}
