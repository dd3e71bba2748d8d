//! Words in their inflections. Always whole words: "breakdrop" is not a form of "drop".

/// How a word may appear.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Just so.
    Is(&'static str),
    /// The stem of an English word, as in `delet` for "delete", "deletes", "deleted", "deleting", "deletion".
    En(&'static str),
    /// The stem of a Spanish word in -ar, as in `borr` for "borrar", "borra", "bórralo", "borrando".
    Ar(&'static str),
    /// The stem of a Spanish word in -er or -ir, as in `suspend` for "suspender", "suspende", "suspendido".
    Er(&'static str),
}

const EN: [&str; 11] = ["", "e", "s", "es", "ed", "ing", "ings", "ion", "ions", "ation", "ations"];
const AR: [&str; 32] = [
    "ar", "o", "a", "as", "an", "amos", "e", "es", "en", "emos", "ad", "ando", "ado", "ada", "ados", "adas", "aron",
    "aste", "aba", "aban", "ara", "aras", "aran", "are", "aremos", "aria", "arias", "arian", "aramos", "ase", "acion",
    "aciones",
];
const ER: [&str; 37] = [
    "er", "ir", "", "o", "e", "es", "en", "emos", "imos", "a", "as", "an", "amos", "ed", "id", "iendo", "endo", "ido",
    "ida", "idos", "idas", "io", "iste", "ieron", "eron", "ia", "ian", "era", "eras", "eran", "ere", "eremos", "eria",
    "ira", "iras", "ire", "iria",
];
/// Endings that a Spanish pronoun can be joined to: infinitive, gerund, imperatives.
const BEFORE_PRONOUN: [&str; 14] =
    ["ar", "er", "ir", "ando", "iendo", "endo", "a", "e", "en", "an", "ad", "ed", "emos", ""];
const PRONOUNS: [&str; 15] =
    ["lo", "la", "los", "las", "le", "les", "me", "se", "nos", "melo", "mela", "melos", "melas", "selo", "noslo"];

impl Form {
    /// Whether `word`, in lower case and without accents, is an inflection of this.
    pub(super) fn matches(self, word: &str) -> bool {
        match self {
            Self::Is(whole) => word == whole,
            Self::En(stem) => word.strip_prefix(stem).is_some_and(|ending| EN.contains(&ending)),
            Self::Ar(stem) => word.strip_prefix(stem).is_some_and(|ending| inflects(ending, &AR)),
            Self::Er(stem) => word.strip_prefix(stem).is_some_and(|ending| inflects(ending, &ER)),
        }
    }
}

fn inflects(ending: &str, endings: &[&str]) -> bool {
    endings.contains(&ending)
        || PRONOUNS.iter().any(|pronoun| {
            let verb = ending.strip_suffix(pronoun);
            verb.is_some_and(|ending| BEFORE_PRONOUN.contains(&ending) && endings.contains(&ending))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inflections_match_and_look_alikes_do_not() {
        let cases = [
            (Form::En("delet"), "delete deletes deleted deleting deletion", "delet3 deletexyz undelete breakdelete"),
            (Form::En("drop"), "drop drops", "breakdrop droplet dropbox"),
            (
                Form::Ar("borr"),
                "borrar borra borre borren borrando borrado borralo borrarlos borremoslo",
                "borrego borrador",
            ),
            (Form::Ar("reinici"), "reiniciar reinicia reinicie reiniciando reinicialo", "reinicialización"),
            (
                Form::Er("suspend"),
                "suspender suspende suspendan suspendido suspendelo suspendiendo",
                "suspenders suspense",
            ),
            (Form::Er("deten"), "detener deten detenlo detenla deteniendo detenido", "detentes detenimiento"),
        ];
        for (form, yes, no) in cases {
            for word in yes.split(' ') {
                assert!(form.matches(word), "{form:?} should match {word}");
            }
            for word in no.split(' ') {
                assert!(!form.matches(word), "{form:?} should not match {word}");
            }
        }
    }
}
