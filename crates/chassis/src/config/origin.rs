//! Where a setting was written: by which variable, or in which line of the file. Mistakes say so.

use std::ops::Range;
use std::path::Path;

use toml_edit::{ImDocument, Item, TableLike, Value};

/// Where a setting was written, or as much of it as there is.
pub(super) enum Origin {
    /// By this variable.
    Variable(String),
    /// In this line of the file.
    Line(usize),
}

/// The origin of `field`, a path such as `switch.models.m.targets[1]`. A variable goes over the file.
pub(super) fn of(field: &str, variables: &[(String, String)], file: Option<&Path>) -> Option<Origin> {
    let text = file.and_then(|file| std::fs::read_to_string(file).ok());
    let line = text.and_then(|text| line(&text, field));
    let around = variables.iter().filter(|(_, path)| begins(field, path)).max_by_key(|(_, path)| path.len());
    let is_whole = line.is_some_and(|(depth, _)| depth == field.len());
    // Something of the field was written, if not the field itself.
    let within = variables.iter().find(|(_, path)| !is_whole && begins(path, field));
    // A variable replaces a list as a whole, and a table field by field.
    let is_over = |path: &str, depth: usize| path.len() >= depth || field[path.len()..].starts_with('[');
    match (around.or(within), line) {
        (Some((name, path)), line) if line.is_none_or(|(depth, _)| is_over(path, depth)) => {
            Some(Origin::Variable(name.clone()))
        }
        (_, Some((_, line))) => Some(Origin::Line(line)),
        (_, None) => None,
    }
}

/// Whether `path` is at or within `outer`.
fn begins(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The line of the innermost part of `field` that stands in `text`, and how much of the path that part is.
fn line(text: &str, field: &str) -> Option<(usize, usize)> {
    let document = ImDocument::parse(text).ok()?;
    let (rest, span) = in_table(document.as_table(), field)?;
    let line = text.get(..span.start)?.matches('\n').count() + 1;
    Some((field.len() - rest.len(), line))
}

/// What is left of `path` behind the innermost part that is found in `table`, and where that part is.
fn in_table<'p>(table: &dyn TableLike, path: &'p str) -> Option<(&'p str, Range<usize>)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    // Names may have dots in them: the longest that fits is meant.
    let name = table.iter().map(|(name, _)| name).filter(|name| begins(path, name)).max_by_key(|name| name.len())?;
    let (key, item) = table.get_key_value(name)?;
    let rest = &path[name.len()..];
    in_item(item, rest).or_else(|| Some((rest, key.span().or(item.span())?)))
}

fn in_item<'p>(item: &Item, path: &'p str) -> Option<(&'p str, Range<usize>)> {
    if let Some(table) = item.as_table_like() {
        return in_table(table, path);
    }
    let (index, rest) = index(path)?;
    if let Some(tables) = item.as_array_of_tables() {
        let table = tables.get(index)?;
        return in_table(table, rest).or_else(|| Some((rest, table.span()?)));
    }
    let value = item.as_array()?.get(index)?;
    let inner = value.as_inline_table().and_then(|table| in_table(table, rest));
    inner.or_else(|| Some((rest, Value::span(value)?)))
}

/// `[1]`, or `.1`, at the beginning of a path.
fn index(path: &str) -> Option<(usize, &str)> {
    let digits = path.strip_prefix(['[', '.'])?;
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    Some((number.parse().ok()?, rest.strip_prefix(']').unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[switch.prices."gpt-4.1"]
input = 1
[switch.models.m]
strategy = "weighted"
targets = [
  "mock/a",
  { target = "mock/b", canary = 101 },
]
[switch]
retries = { attempts = 3 }
"#;

    #[test]
    fn a_field_is_found_in_its_line_or_in_that_of_what_it_would_be_in() {
        for (field, expected) in [
            ("switch.prices.gpt-4.1.input", Some(3)),
            ("switch.prices.gpt-4.1.output", Some(2)),
            ("switch.models.m.targets", Some(6)),
            ("switch.models.m.targets[0]", Some(7)),
            ("switch.models.m.targets.1.canary", Some(8)),
            ("switch.models.m.targets[1].canary", Some(8)),
            ("switch.models.m.shadow.target", Some(4)),
            ("switch.retries.attempts", Some(11)),
            ("operator.bind", None),
        ] {
            assert_eq!(line(FILE, field).map(|(_, line)| line), expected, "{field}");
        }
        assert_eq!(line("no toml", "no"), None);
    }

    #[test]
    fn a_variable_goes_over_the_file_where_it_sets_the_field() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), FILE).expect("written");
        let variables = [("TARGETS", "switch.models.m.targets"), ("BIND", "switch.bind"), ("KEY", "switch.keys.k.org")]
            .map(|(name, path)| (name.to_owned(), path.to_owned()));
        let of = |field: &str| match of(field, &variables, Some(file.path())) {
            Some(Origin::Variable(name)) => name,
            Some(Origin::Line(line)) => line.to_string(),
            None => String::new(),
        };
        assert_eq!(of("switch.models.m.targets[1].canary"), "TARGETS", "a list is replaced as a whole");
        assert_eq!(of("switch.bind"), "BIND");
        assert_eq!(of("switch.keys.k"), "KEY", "by which there is such a key at all");
        assert_eq!(of("switch.models.m.strategy"), "5");
    }
}
