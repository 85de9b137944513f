//! The C interface of `libchdb.so`, loaded at run time. The only module with `unsafe` code.
//! Every function is resolved when the library is loaded, so that no later call can fail for a missing symbol.
#![allow(unsafe_code)]

use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

type Raw = *mut c_void;
type Connect = unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Raw;
type Close = unsafe extern "C" fn(*mut Raw);
type Query = unsafe extern "C" fn(
    Raw,
    *const c_char,
    usize,
    *const c_char,
    usize,
    *const *const c_char,
    *const usize,
    *const *const c_char,
    *const usize,
    usize,
) -> Raw;
type Destroy = unsafe extern "C" fn(Raw);
type Text = unsafe extern "C" fn(Raw) -> *const c_char;
type Count = unsafe extern "C" fn(Raw) -> u64;
type Length = unsafe extern "C" fn(Raw) -> usize;
type Handlers = unsafe extern "C" fn(c_int);

/// The functions that this crate uses, and the library that holds them.
pub struct Chdb {
    connect: Connect,
    close: Close,
    query: Query,
    destroy: Destroy,
    buffer: Text,
    length: Length,
    error: Text,
    rows_read: Count,
    rows_written: Count,
    bytes_written: Count,
    storage_rows_read: Count,
    storage_bytes_read: Count,
    // Last, so that it outlives the pointers above. It is never unloaded in practice: the engine's threads run in it.
    _library: Library,
}

/// One connection: one session with its own settings, which runs one statement at a time.
pub struct Connection {
    api: &'static Chdb,
    raw: *mut Raw,
}

/// What a statement returned.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// The formatted result, unless it went to a file.
    pub data: Vec<u8>,
    /// Rows in the result.
    pub result_rows: u64,
    /// Rows and bytes read from tables.
    pub read_rows: u64,
    /// Bytes read from tables.
    pub read_bytes: u64,
    /// Rows inserted.
    pub written_rows: u64,
    /// Bytes inserted.
    pub written_bytes: u64,
}

// SAFETY: the header states that a connection may be used from any thread as long as calls are serial; `query` takes
// `&mut self` and `close` consumes it, so two calls can never overlap.
unsafe impl Send for Connection {}

impl Chdb {
    /// Loads the library and switches its signal handlers off: they sleep for minutes in a crash, and they would
    /// replace the handlers of this process.
    ///
    /// The result lives until the process ends, because the engine's threads do too.
    pub fn load(path: &Path) -> Result<&'static Self, String> {
        // SAFETY: loading runs the library's constructors. The file is the one the operator named or the pinned
        // package that the fetch script verified; that trust is what a library path means.
        let library = unsafe { Library::new(path) }.map_err(|error| explain(&error))?;
        // SAFETY: the types above restate the declarations in the package's header `chdb.h`.
        unsafe {
            let handlers: Handlers = symbol(&library, c"chdb_set_signal_handlers_enabled")?;
            handlers(0);
            Ok(Box::leak(Box::new(Self {
                connect: symbol(&library, c"chdb_connect")?,
                close: symbol(&library, c"chdb_close_conn")?,
                query: symbol(&library, c"chdb_query_with_params_n")?,
                destroy: symbol(&library, c"chdb_destroy_query_result")?,
                buffer: symbol(&library, c"chdb_result_buffer")?,
                length: symbol(&library, c"chdb_result_length")?,
                error: symbol(&library, c"chdb_result_error")?,
                rows_read: symbol(&library, c"chdb_result_rows_read")?,
                rows_written: symbol(&library, c"chdb_result_rows_written")?,
                bytes_written: symbol(&library, c"chdb_result_bytes_written")?,
                storage_rows_read: symbol(&library, c"chdb_result_storage_rows_read")?,
                storage_bytes_read: symbol(&library, c"chdb_result_storage_bytes_read")?,
                _library: library,
            })))
        }
    }

    /// Opens a connection. The first one in a process starts the engine; later ones must name the same `--path`.
    pub fn connect(&'static self, arguments: &[String]) -> Option<Connection> {
        let arguments: Vec<CString> = std::iter::once("clickhouse")
            .chain(arguments.iter().map(String::as_str))
            .map(CString::new)
            .collect::<Result<_, _>>()
            .ok()?;
        let mut pointers: Vec<*mut c_char> = arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        // SAFETY: `pointers` holds that many NUL-terminated strings, all alive until the call returns; the engine
        // copies what it keeps and does not write through them.
        let raw = unsafe { (self.connect)(pointers.len() as c_int, pointers.as_mut_ptr()) };
        // SAFETY: a non-null result points to a connection handle, which is null if the connection failed.
        if raw.is_null() || unsafe { (*raw).is_null() } { None } else { Some(Connection { api: self, raw }) }
    }
}

impl Connection {
    /// Runs one statement with parameters for its `{name:Type}` placeholders; values are in ClickHouse's escaped form.
    /// The error is the engine's own text (`Code: 62. DB::Exception: …`).
    pub fn query(&mut self, sql: &str, format: &str, params: &[(String, String)]) -> Result<Outcome, String> {
        let api = self.api;
        let names: Vec<*const c_char> = params.iter().map(|(name, _)| name.as_ptr().cast()).collect();
        let name_lengths: Vec<usize> = params.iter().map(|(name, _)| name.len()).collect();
        let values: Vec<*const c_char> = params.iter().map(|(_, value)| value.as_ptr().cast()).collect();
        let value_lengths: Vec<usize> = params.iter().map(|(_, value)| value.len()).collect();
        // SAFETY: `self.raw` is a live connection that nobody else uses (`&mut self`); each pointer comes with the
        // length of the string behind it, which lives until the call returns; the arrays have `params.len()` elements.
        let result = unsafe {
            (api.query)(
                *self.raw,
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                names.as_ptr(),
                name_lengths.as_ptr(),
                values.as_ptr(),
                value_lengths.as_ptr(),
                params.len(),
            )
        };
        if result.is_null() {
            return Err("Code: 1000. DB::Exception: the engine returned no result. (POCO_EXCEPTION)".into());
        }
        // SAFETY: `result` is a live result of this library, read before it is destroyed and destroyed exactly once;
        // the buffer has the length that the library states, the error is NUL-terminated.
        unsafe {
            let error = (api.error)(result);
            let outcome = if error.is_null() {
                Ok(Outcome {
                    data: copy((api.buffer)(result), (api.length)(result)),
                    result_rows: (api.rows_read)(result),
                    read_rows: (api.storage_rows_read)(result),
                    read_bytes: (api.storage_bytes_read)(result),
                    written_rows: (api.rows_written)(result),
                    written_bytes: (api.bytes_written)(result),
                })
            } else {
                Err(CStr::from_ptr(error).to_string_lossy().into_owned())
            };
            (api.destroy)(result);
            outcome
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: the handle came from `connect`, is not null, and is closed once.
        unsafe { (self.api.close)(self.raw) };
    }
}

/// The loader's own words are in the source of the error.
fn explain(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// # Safety
/// `T` must be the type of the function behind `name`.
unsafe fn symbol<T: Copy>(library: &Library, name: &CStr) -> Result<T, String> {
    // SAFETY: promised by the caller.
    unsafe { library.get::<T>(name.to_bytes_with_nul()) }.map(|found| *found).map_err(|error| error.to_string())
}

/// # Safety
/// `start` must point to `length` readable bytes, or be null.
unsafe fn copy(start: *const c_char, length: usize) -> Vec<u8> {
    if start.is_null() || length == 0 {
        return Vec::new();
    }
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) }.to_vec()
}
