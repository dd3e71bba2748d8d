-- Whose word it is that somebody is who it says it is: a provider is a name of the configuration, and subjects are an
-- issuer's. NULL until the pilot's next login.
ALTER TABLE pilots ADD COLUMN oauth_issuer TEXT;
