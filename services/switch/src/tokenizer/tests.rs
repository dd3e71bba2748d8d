use proptest::prelude::*;

use super::tables::real;
use super::{Counter, Vocabulary};

const BOTH: [Vocabulary; 2] = [Vocabulary::O200k, Vocabulary::Cl100k];

const PROSE: &[&str] = &[
    "The quick brown fox jumps over the lazy dog. It's what they'll say; WE'VE SEEN IT, he'd 'said', I'M sure.",
    "Die Donaudampfschifffahrtsgesellschaft hat vorläufig geschlossen; Fahrgäste erhalten den Preis zurück.",
    "O sistema precisa continuar funcionando, e as decisões importantes ficam sob o controle de uma pessoa.",
    "Сегодня утром в городе было очень холодно, поэтому мы решили остаться дома и читать книги. ЁЛКА!",
    "今天天气很好，我们决定去公园散步，然后在附近的一家小餐馆吃午饭。",
    "今日はとても良い天気ですね。コーヒーを飲みながら、ゆっくり本を読みましょう。ＡＢＣ１２３",
    "오늘 아침에는 날씨가 무척 추워서 집에 머물기로 했습니다.",
    "في صباح اليوم كان الجو باردًا جدًا، فقررنا البقاء في المنزل وقراءة الكتب. ١٢٣٤٥",
    "आज सुबह बहुत ठंड थी, इसलिए हमने घर पर रहकर किताबें पढ़ने का फैसला किया। १२३४",
    "วันนี้อากาศดีมาก เราจึงตัดสินใจไปเดินเล่นในสวนสาธารณะ",
    "Σήμερα το πρωί έκανε πολύ κρύο. Ǆ ǅ ǆ ŉ ʼn İstanbul ISPARTA'dan ığdır",
    "Hôm nay trời rất đẹp, chúng tôi quyết định đi dạo trong công viên. ქართული ენა, Հայերեն",
    "fn add(&mut self, kind: Kind) {\n    if self.run == Some(kind) {\n        self.length += 1;\r\n\t\treturn;\n    }\n}\n\n\n",
    r#"{"id": 48151, "tags": ["red", "large"], "price": 19.99, "ok": true, "ref": null, "path": "C:\\a\\n", "u": "\u00e9"}"#,
    "def f(x):\n\treturn x ** 2  # squared\n\n\nif __name__ == '__main__':\n    print(f'{f(3)=}')\n",
    "<div class=\"a\">\n  <a href='https://example.com/a?b=c&d=1234567#e'>//</a>\n\n/* /\n/ */</div>",
    "👩‍👩‍👧‍👦 🇧🇷 👍🏽 ❤️ a\u{301}e\u{308} ½ ² Ⅷ ㊿ 1234567 ₿100,000.00 — “quotes” … ™",
    "    \t  \n \u{a0}\u{2003}\u{3000} x  \r\n\r\n  \u{85}\u{2028}end   ",
    "a'ſb 'S 'LL'rE x'Tx ''s 'x",
    "",
    " ",
    "\n",
];

fn count(vocabulary: Vocabulary, text: &str) -> u64 {
    Counter::new(vocabulary).tokens(text)
}

/// What tiktoken-rs counts.
fn truth(vocabulary: Vocabulary, text: &str) -> u64 {
    real(vocabulary).encode_ordinary(text).len() as u64
}

#[test]
fn prose_code_and_signs_are_counted_as_tiktoken_counts_them() {
    let all = PROSE.concat();
    for vocabulary in BOTH {
        for text in PROSE.iter().chain([&all.as_str()]) {
            assert_eq!(count(vocabulary, text), truth(vocabulary, text), "{vocabulary:?}: {text:?}");
        }
    }
}

#[test]
fn a_text_is_cut_anywhere_and_still_counted_alike() {
    for vocabulary in BOTH {
        for text in PROSE {
            for (at, _) in text.char_indices() {
                let (head, tail) = text.split_at(at);
                assert_eq!(count(vocabulary, head), truth(vocabulary, head), "{vocabulary:?}: {head:?}");
                assert_eq!(count(vocabulary, tail), truth(vocabulary, tail), "{vocabulary:?}: {tail:?}");
            }
        }
    }
}

#[test]
fn one_sign_without_end_is_counted_in_good_time() {
    for vocabulary in BOTH {
        for sign in ["a", "A", " ", "\n", "é", "字", "!", "7", "x1", "aB", "字A", " \n", "'s", "\u{301}", "lpqz"] {
            let text = sign.repeat(100_000 / sign.len());
            let tokens = count(vocabulary, &text);
            assert!((1..=text.len() as u64).contains(&tokens), "{sign:?}");
        }
    }
}

#[test]
fn a_long_piece_is_merged_as_one() {
    for vocabulary in BOTH {
        for sign in ["a", "lpqz", "é", "-=", "字"] {
            let text = sign.repeat(3_000);
            assert_eq!(count(vocabulary, &text), truth(vocabulary, &text), "{vocabulary:?}: {sign:?}");
        }
    }
}

#[test]
fn a_model_has_its_own_vocabulary() {
    for (model, vocabulary) in [
        ("gpt-4o", Some(Vocabulary::O200k)),
        ("gpt-4o-2024-08-06", Some(Vocabulary::O200k)),
        ("openai/gpt-4.1-nano", Some(Vocabulary::O200k)),
        ("ft:gpt-4o-mini:acme::id", Some(Vocabulary::O200k)),
        ("chatgpt-4o-latest", Some(Vocabulary::O200k)),
        ("gpt-5", Some(Vocabulary::O200k)),
        ("gpt-5.2-codex", Some(Vocabulary::O200k)),
        ("o1", Some(Vocabulary::O200k)),
        ("o3-mini", Some(Vocabulary::O200k)),
        ("gpt-oss:20b", Some(Vocabulary::O200k)),
        ("gpt-4", Some(Vocabulary::Cl100k)),
        ("gpt-4-turbo-2024-04-09", Some(Vocabulary::Cl100k)),
        ("gpt-3.5-turbo", Some(Vocabulary::Cl100k)),
        ("gpt-35-turbo-16k", Some(Vocabulary::Cl100k)),
        ("text-embedding-3-small", Some(Vocabulary::Cl100k)),
        ("text-embedding-ada-002", Some(Vocabulary::Cl100k)),
        ("gpt-4.9", None),
        ("gpt-6", None),
        ("gpt-4omni", None),
        ("o1ive", None),
        ("claude-opus-4-5", None),
        ("gemini-2.5-pro", None),
        ("deepseek-chat", None),
        ("mock", None),
        ("", None),
    ] {
        assert_eq!(Vocabulary::of(model), vocabulary, "{model}");
    }
}

/// What texts are made of, more often than by chance side by side.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => any::<char>().prop_map(String::from),
        4 => prop::sample::select(PROSE).prop_flat_map(|text| {
            let characters: Vec<char> = text.chars().collect();
            (0..=characters.len(), 0..12usize).prop_map(move |(from, length)| characters.iter().skip(from).take(length).collect())
        }),
        2 => "[ \\t\\r\\n\u{a0}\u{2003}\u{85}]{1,4}",
        2 => "[A-Za-z'ſ]{1,6}",
        1 => "\\p{N}{1,5}",
        1 => "[\\p{Lu}\\p{Lt}\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]{1,4}",
        1 => "[!-/:-@\\[-`{-~\r\n/]{1,5}",
        1 => "'(s|t|re|ve|m|ll|d|S|LL|ſ)",
    ];
    prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_is_counted_as_tiktoken_counts_it(text in text()) {
        for vocabulary in BOTH {
            prop_assert_eq!(count(vocabulary, &text), truth(vocabulary, &text), "{:?}", vocabulary);
        }
    }
}
