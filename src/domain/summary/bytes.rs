//! Numbers and texts as bytes: LEB128, and lengths before what they are of.

/// A number of so many bytes fits into 64 bits.
const SHORT: usize = 9;

/// Bytes that are no summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a summary is damaged")]
pub struct Damaged;

pub(super) fn write_text(bytes: &mut Vec<u8>, text: &str) {
    write_number(bytes, text.len() as u128);
    bytes.extend_from_slice(text.as_bytes());
}

pub(super) fn write_number(bytes: &mut Vec<u8>, mut number: u128) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

pub(super) fn read_number(bytes: &mut &[u8]) -> Result<u128, Damaged> {
    // Nearly all are short.
    let mut short = 0;
    for (place, byte) in bytes.iter().take(SHORT).enumerate() {
        short |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *bytes = &bytes[place + 1..];
            return Ok(short.into());
        }
    }
    let mut number = 0;
    for shift in (0..128).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damaged)
}

pub(super) fn read_length(bytes: &mut &[u8]) -> Result<usize, Damaged> {
    usize::try_from(read_number(bytes)?).map_err(|_| Damaged)
}

pub(super) fn read_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, Damaged> {
    let length = read_length(bytes)?;
    std::str::from_utf8(take(bytes, length)?).map_err(|_| Damaged)
}

pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Damaged> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Damaged)?;
    *bytes = rest;
    Ok(taken)
}
