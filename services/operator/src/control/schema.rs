//! The tables as diesel sees them; the migrations are the truth.

diesel::table! {
    interventions (org_id, request_id) {
        org_id -> Text,
        request_id -> Text,
        uow_id -> Nullable<Text>,
        intervention_type -> Text,
        status -> Text,
        priority -> SmallInt,
        assigned_to -> Nullable<Text>,
        created_at -> Text,
        expires_at -> Nullable<Text>,
        due_at -> Nullable<Text>,
        ended_at -> Nullable<Text>,
        version -> BigInt,
        record -> Text,
        created_by -> Nullable<Text>,
    }
}

diesel::table! {
    intervention_history (org_id, request_id) {
        org_id -> Text,
        request_id -> Text,
        uow_id -> Nullable<Text>,
        status -> Text,
        priority -> SmallInt,
        created_at -> Text,
        completed_at -> Text,
        resolution_time_seconds -> Double,
        assigned_to -> Nullable<Text>,
        action_reason -> Nullable<Text>,
        archived_at -> Text,
    }
}

diesel::table! {
    intervention_counts (org_id, intervention_type, priority, status) {
        org_id -> Text,
        intervention_type -> Text,
        priority -> SmallInt,
        status -> Text,
        requests -> BigInt,
    }
}

diesel::table! {
    intervention_count_changes (id) {
        id -> BigInt,
        org_id -> Text,
        intervention_type -> Text,
        priority -> SmallInt,
        came_from -> Nullable<Text>,
        went_to -> Nullable<Text>,
        decided_by -> Nullable<Text>,
        seconds -> Nullable<Double>,
    }
}

diesel::table! {
    intervention_decisions (org_id, pilot_id) {
        org_id -> Text,
        pilot_id -> Text,
        requests -> BigInt,
        seconds -> Double,
    }
}

diesel::table! {
    idempotency_keys (org_id, key) {
        org_id -> Text,
        key -> Text,
        digest -> Text,
        request_id -> Text,
        created_at -> Text,
    }
}

diesel::table! {
    deliveries (org_id, id) {
        org_id -> Text,
        id -> Text,
        channel -> Text,
        request_id -> Text,
        event -> Text,
        url -> Text,
        body -> Text,
        state -> Text,
        attempts -> Integer,
        next_at -> Text,
        leased_until -> Nullable<Text>,
        last_error -> Nullable<Text>,
        created_at -> Text,
        delivered_at -> Nullable<Text>,
    }
}

diesel::table! {
    email_subscriptions (org_id, id) {
        org_id -> Text,
        id -> Text,
        recipient -> Text,
        events -> Text,
        least_priority -> SmallInt,
        created_by -> Text,
        created_at -> Text,
    }
}

diesel::table! {
    orgs (org_id) {
        org_id -> Text,
        name -> Text,
        created_at -> Text,
        closed_at -> Nullable<Text>,
    }
}

diesel::table! {
    pilots (org_id, pilot_id) {
        org_id -> Text,
        pilot_id -> Text,
        name -> Text,
        email -> Nullable<Text>,
        role -> Text,
        created_at -> Text,
        last_login -> Nullable<Text>,
        oauth_provider -> Nullable<Text>,
        oauth_id -> Nullable<Text>,
        oauth_issuer -> Nullable<Text>,
        disabled_at -> Nullable<Text>,
        tokens_from -> Nullable<Text>,
    }
}

diesel::table! {
    pilot_routing (org_id, pilot_id) {
        org_id -> Text,
        pilot_id -> Text,
        skills -> Text,
        hours_from -> Nullable<SmallInt>,
        hours_until -> Nullable<SmallInt>,
        updated_by -> Text,
        updated_at -> Text,
    }
}

diesel::table! {
    pilot_passwords (org_id, pilot_id) {
        org_id -> Text,
        pilot_id -> Text,
        hash -> Text,
        set_at -> Text,
    }
}

diesel::table! {
    refresh_families (org_id, family_id) {
        org_id -> Text,
        family_id -> Text,
        pilot_id -> Text,
        started_at -> Text,
        revoked_at -> Nullable<Text>,
    }
}

diesel::table! {
    refresh_tokens (hash) {
        hash -> Text,
        org_id -> Text,
        family_id -> Text,
        expires_at -> Text,
        replaced_at -> Nullable<Text>,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Text,
        org_id -> Text,
        name -> Text,
        subject -> Text,
        role -> Text,
        scopes -> Text,
        hash -> Text,
        created_at -> Text,
        created_by -> Text,
        expires_at -> Nullable<Text>,
        last_used_at -> Nullable<Text>,
        revoked_at -> Nullable<Text>,
        limits -> Nullable<Text>,
    }
}

diesel::table! {
    signing_keys (id) {
        id -> Text,
        kind -> Text,
        signs_from -> Text,
        secret -> Text,
    }
}

diesel::table! {
    revoked_tokens (org_id, jti) {
        org_id -> Text,
        jti -> Text,
        good_until -> Text,
    }
}

diesel::table! {
    units (org_id, uow_id) {
        org_id -> Text,
        uow_id -> Text,
        instance_id -> Text,
        status -> Text,
        created_at -> Text,
        heartbeat_at -> Text,
        clock_at -> Nullable<Text>,
        ended_at -> Nullable<Text>,
        version -> BigInt,
        record -> Text,
    }
}

diesel::table! {
    unit_events (id) {
        id -> BigInt,
        org_id -> Text,
        uow_id -> Text,
        record -> Text,
    }
}

diesel::table! {
    guard_rules (org_id, rule_id) {
        org_id -> Text,
        rule_id -> Text,
        record -> Text,
        updated_by -> Text,
        updated_at -> Text,
    }
}

diesel::table! {
    audit_log (org_id, id) {
        id -> BigInt,
        org_id -> Text,
        seq -> Nullable<BigInt>,
        at -> Text,
        actor -> Text,
        actor_kind -> Text,
        action -> Text,
        target_kind -> Nullable<Text>,
        target_id -> Nullable<Text>,
        outcome -> Text,
        correlation_id -> Nullable<Text>,
        client -> Nullable<Text>,
        details -> Text,
        written_at -> Text,
        hash -> Nullable<Text>,
    }
}

diesel::table! {
    audit_heads (org_id) {
        org_id -> Text,
        seq -> BigInt,
        hash -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(audit_log, audit_heads);
