//! What a message holds: text, images and files as Anthropic's content blocks.

use serde_json::{Value, json};

use crate::wire::json::{copy, get, said, text};
use crate::wire::{Untranslatable, data_url};

/// The blocks of a message's `content`. Empty text is left out: Anthropic refuses it.
pub(super) fn blocks(message: &Value) -> Result<Vec<Value>, Untranslatable> {
    match get(message, "content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text_block(text)]),
        Some(Value::Array(parts)) => {
            let mut blocks = Vec::with_capacity(parts.len());
            for (index, part) in parts.iter().enumerate() {
                blocks.extend(block(part).map_err(|error| error.within(&format!("content[{index}]")))?);
            }
            Ok(blocks)
        }
        Some(_) => Err(Untranslatable::new("content", "must be text or a list of parts")),
    }
}

/// A block of text.
pub(super) fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn block(part: &Value) -> Result<Option<Value>, Untranslatable> {
    let mut block = match text(part, "type") {
        Some("text") => match said(part, "text") {
            Some(text) => text_block(text),
            None => return Ok(None),
        },
        Some("refusal") => text_block(text(part, "refusal").unwrap_or_default()),
        Some("image_url") => json!({"type": "image", "source": image(part)?}),
        Some("file") => document(part)?,
        Some(kind) => {
            return Err(Untranslatable::new("type", format!("Anthropic's wire has no counterpart of `{kind}`")));
        }
        None => return Err(Untranslatable::new("type", "is required")),
    };
    if let Some(block) = block.as_object_mut() {
        copy(part, block, &["cache_control"]);
    }
    Ok(Some(block))
}

fn image(part: &Value) -> Result<Value, Untranslatable> {
    let url = get(part, "image_url").and_then(|image| image.as_str().or_else(|| text(image, "url")));
    match url {
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
            Ok(json!({"type": "url", "url": url}))
        }
        Some(url) => base64(url).ok_or_else(|| {
            Untranslatable::new("image_url.url", "must be an http or https address, or a base64 data URL")
        }),
        None => Err(Untranslatable::new("image_url.url", "is required")),
    }
}

fn document(part: &Value) -> Result<Value, Untranslatable> {
    let file = get(part, "file");
    let data = file.and_then(|file| text(file, "file_data")).and_then(base64);
    let source = data.ok_or_else(|| Untranslatable::new("file.file_data", "must be a base64 data URL"))?;
    let mut block = json!({"type": "document", "source": source});
    if let Some(name) = file.and_then(|file| said(file, "filename")) {
        block["title"] = name.into();
    }
    Ok(block)
}

fn base64(url: &str) -> Option<Value> {
    let (media_type, data) = data_url::split(url)?;
    Some(json!({"type": "base64", "media_type": media_type, "data": data}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_and_files_become_blocks() {
        let content = json!([
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
            {"type": "image_url", "image_url": "https://h/a.png"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
            {"type": "text", "text": ""},
        ]);
        let expected = [
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}),
            json!({"type": "image", "source": {"type": "url", "url": "https://h/a.png"}}),
            json!({"type": "document", "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}),
        ];
        assert_eq!(blocks(&json!({"content": content})).expect("translatable"), expected);
    }

    #[test]
    fn an_image_that_is_neither_address_nor_data_is_refused() {
        for (part, field) in [
            (json!({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}), "content[0].image_url.url"),
            (json!({"type": "image_url"}), "content[0].image_url.url"),
            (json!({"type": "file", "file": {"file_id": "file-1"}}), "content[0].file.file_data"),
            (json!({}), "content[0].type"),
        ] {
            assert_eq!(blocks(&json!({"content": [part]})).expect_err("refused").field, field);
        }
    }
}
