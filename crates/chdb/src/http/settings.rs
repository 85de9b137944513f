//! Settings that come with a request: which names are the protocol's own, and which the accounts may set.
//! A setting applies to its request only, because its session ends with it.

use crate::exec::Exception;
use crate::sql::Role;

/// Query parameters that are not settings. Those without a use here are accepted, because clients send them.
const PROTOCOL: &[&str] = &[
    "add_http_cors_header",
    "buffer_size",
    "cancel_http_readonly_queries_on_client_close",
    "client_protocol_version",
    "close_session",
    "compress",
    "database",
    "decompress",
    "default_format",
    "enable_http_compression",
    "http_headers_progress_interval_ms",
    "http_native_compression_disable_checksumming_on_decompress",
    "http_write_exception_in_output_format",
    "http_zlib_compression_level",
    "log_comment",
    "log_queries",
    "network_compression_method",
    "password",
    "query",
    "query_id",
    "quota_key",
    "role",
    "send_progress_in_http_headers",
    "session_check",
    "session_id",
    "session_timeout",
    "stacktrace",
    "user",
    "wait_end_of_query",
];

/// Settings that name files, or undo what the endpoint sets.
const NEVER: &[&str] = &[
    "allow_introspection_functions",
    "format_schema",
    "format_schema_source",
    "format_template_resultset",
    "format_template_row",
    "implicit_select",
    "input_format_record_errors_file_path",
    "output_format_schema",
];

/// What the reader may set, besides `output_format_…` and `optimize_…`. Limits of memory and threads are not here.
const READER: &[&str] = &[
    "additional_result_filter",
    "cast_keep_nullable",
    "count_distinct_implementation",
    "date_time_output_format",
    "distinct_overflow_mode",
    "do_not_merge_across_partitions_select_final",
    "extremes",
    "final",
    "group_by_use_nulls",
    "join_algorithm",
    "join_use_nulls",
    "limit",
    "max_block_size",
    "max_bytes_to_read",
    "max_execution_time",
    "max_result_bytes",
    "max_result_rows",
    "max_rows_to_read",
    "offset",
    "prefer_column_name_to_alias",
    "query_cache_ttl",
    "read_overflow_mode",
    "result_overflow_mode",
    "session_timezone",
    "timeout_overflow_mode",
    "transform_null_in",
    "use_query_cache",
];

/// Whether this query parameter belongs to the protocol, so that it is not a setting.
pub(super) fn is_protocol(name: &str) -> bool {
    PROTOCOL.contains(&name) || name.starts_with("param_")
}

/// The value with which a setting goes to the engine, `None` if it says nothing new.
pub(super) fn accept(role: Role, name: &str, value: &str, reader_seconds: u64) -> Result<Option<String>, Exception> {
    let named =
        !name.is_empty() && name.len() <= 80 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !named || name.as_bytes()[0].is_ascii_digit() {
        return Err(Exception::new(115, "UNKNOWN_SETTING", format!("Unknown setting '{}'", name.escape_default())));
    }
    if value.len() > 4096 || value.contains('\0') {
        return Err(Exception::new(
            36,
            "BAD_ARGUMENTS",
            format!("The value of '{name}' is too long or has a zero byte"),
        ));
    }
    if NEVER.contains(&name) {
        return Err(Exception::new(
            452,
            "SETTING_CONSTRAINT_VIOLATION",
            format!("Setting {name} should not be changed"),
        ));
    }
    if role == Role::Writer {
        return Ok(Some(value.to_owned()));
    }
    let known = READER.contains(&name) || name.starts_with("output_format_") || name.starts_with("optimize_");
    match name {
        "readonly" => Ok(None),
        "max_execution_time" => Ok(Some(shorter(value, reader_seconds))),
        _ if known => Ok(Some(value.to_owned())),
        _ => Err(Exception::new(164, "READONLY", format!("Cannot modify '{name}' setting in readonly mode"))),
    }
}

/// The reader may shorten its time, not extend it; zero would mean no limit.
fn shorter(value: &str, reader_seconds: u64) -> String {
    match value.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds < reader_seconds as f64 => value.to_owned(),
        _ => reader_seconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_sets_formats_and_results_only() {
        let reader = |name, value| accept(Role::Reader, name, value, 60).map_err(|error| error.code);
        assert_eq!(reader("output_format_json_quote_64bit_integers", "1"), Ok(Some("1".into())));
        assert_eq!(reader("readonly", "0"), Ok(None));
        assert_eq!(reader("max_memory_usage", "0"), Err(164));
        assert_eq!(reader("output_format_schema", "/tmp/x"), Err(452));
        assert_eq!(reader("max_execution_time", "0"), Ok(Some("60".into())));
        assert_eq!(reader("max_execution_time", "5"), Ok(Some("5".into())));
    }

    #[test]
    fn a_name_cannot_carry_sql() {
        for name in ["", "a = 1, readonly", "x;", "1a", "a'"] {
            assert_eq!(accept(Role::Writer, name, "1", 60).unwrap_err().code, 115, "{name}");
        }
    }
}
