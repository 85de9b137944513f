//! Reads the fields of a `multipart/form-data` body: the `clickhouse` crate sends `query` and `param_…` this way.
//! The body is already in memory and bounded, so this is a plain function over bytes.

/// The fields, in order; `None` if the body does not follow the form.
pub(super) fn fields<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<(String, &'a [u8])>> {
    let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim_matches('"');
    if boundary.is_empty() {
        return None;
    }
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter stands at the very beginning, without the line end that introduces the others.
    let mut rest = body.strip_prefix(&delimiter.as_bytes()[2..])?;
    let mut fields = Vec::new();
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = find(rest, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&rest[..head_end]).ok()?;
        let content = &rest[head_end + 4..];
        let end = find(content, delimiter.as_bytes())?;
        fields.push((field_name(head)?, &content[..end]));
        rest = &content[end + delimiter.len()..];
    }
    Some(fields)
}

fn field_name(head: &str) -> Option<String> {
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    disposition
        .split(';')
        .find_map(|part| part.trim().strip_prefix("name="))
        .map(|name| name.trim_matches('"').to_owned())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xYz";

    #[test]
    fn fields_come_with_their_bytes() {
        let body = b"--xYz\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1\r\n--x\r\n--xYz\r\n\
            Content-Disposition: form-data; name=\"param_a\"\r\n\r\n\r\n--xYz--\r\n";
        let expected: Vec<(String, &[u8])> = vec![("query".into(), b"SELECT 1\r\n--x"), ("param_a".into(), b"")];
        assert_eq!(fields(TYPE, body).unwrap(), expected);
    }

    #[test]
    fn a_broken_form_is_none() {
        for body in [&b""[..], b"--xYz", b"--xYz\r\n", b"--xYz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx"]
        {
            assert!(fields(TYPE, body).is_none());
        }
        assert!(fields("multipart/form-data", b"--\r\n").is_none());
    }
}
