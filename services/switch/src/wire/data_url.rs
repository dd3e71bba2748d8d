//! `data:` URLs (RFC 2397), as far as chat carries images and files in them: base64, and never decoded here.

/// The media type and the base64 text of a `data:` URL.
pub(super) fn split(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = head.strip_suffix(";base64")?;
    // Parameters, such as a charset, are no part of the type.
    let media_type = media_type.split(';').next().filter(|name| !name.is_empty())?;
    Some((media_type, data))
}

/// The `data:` URL of base64 text.
pub(super) fn join(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_split_again() {
        assert_eq!(split(&join("image/png", "aGk=")), Some(("image/png", "aGk=")));
        assert_eq!(split("data:image/png;charset=x;base64,aGk="), Some(("image/png", "aGk=")));
        for url in
            ["https://h/a.png", "data:,plain", "data:;base64,aGk=", "data:image/png,raw", "data:image/png;base64"]
        {
            assert_eq!(split(url), None, "{url}");
        }
    }
}
