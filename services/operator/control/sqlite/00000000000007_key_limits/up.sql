-- What a key may ask of the gateway, and spend there: JSON; nothing where the key has no limits of its own.
ALTER TABLE api_keys ADD COLUMN limits TEXT;
