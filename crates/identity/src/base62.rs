//! Letters and digits: what is selected by a double click, and stands in a header, an address and a shell as it is.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` random characters, each as likely as the others; 5.95 bits each.
pub(crate) fn random(length: usize) -> String {
    // A ChaCha generator that the system seeds; `random_range` is without bias.
    (0..length).map(|_| char::from(DIGITS[rand::random_range(0..DIGITS.len())])).collect()
}

/// Whether `text` is of such characters alone.
pub(crate) fn is_base62(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// `number` in exactly six characters, which hold every number.
pub(crate) fn of_u32(mut number: u32) -> String {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_characters_hold_every_number_of_32_bits() {
        assert_eq!(of_u32(0), "000000");
        assert_eq!(of_u32(61), "00000z");
        assert_eq!(of_u32(62), "000010");
        assert_eq!(of_u32(u32::MAX), "4gfFC3");
    }

    #[test]
    fn every_character_comes_up() {
        let text = random(10_000);
        assert!(is_base62(&text));
        assert!(DIGITS.iter().all(|digit| text.as_bytes().contains(digit)));
    }
}
