//! The part of the Extism host interface that this skill imports. All unsafe code
//! is here: the functions are foreign, but take and give only numbers.

mod raw {
    #[link(wasm_import_module = "extism:host/env")]
    extern "C" {
        pub fn alloc(size: u64) -> u64;
        pub fn length(handle: u64) -> u64;
        pub fn load_u8(offset: u64) -> u32;
        pub fn load_u64(offset: u64) -> u64;
        pub fn store_u8(offset: u64, byte: u32);
        pub fn store_u64(offset: u64, word: u64);
        pub fn input_length() -> u64;
        pub fn input_offset() -> u64;
        pub fn output_set(handle: u64, size: u64);
        pub fn error_set(handle: u64);
        pub fn http_request(request: u64, body: u64) -> u64;
        pub fn http_status_code() -> u32;
        pub fn http_headers() -> u64;
    }
}

fn load(handle: u64, size: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(size as usize);
    let mut i = 0;
    while i + 8 <= size {
        out.extend_from_slice(&unsafe { raw::load_u64(handle + i) }.to_le_bytes());
        i += 8;
    }
    while i < size {
        out.push(unsafe { raw::load_u8(handle + i) } as u8);
        i += 1;
    }
    out
}

fn store(bytes: &[u8]) -> u64 {
    let handle = unsafe { raw::alloc(bytes.len() as u64) };
    let mut at = handle;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        unsafe { raw::store_u64(at, u64::from_le_bytes(eight)) };
        at += 8;
    }
    for byte in words.remainder() {
        unsafe { raw::store_u8(at, u32::from(*byte)) };
        at += 1;
    }
    handle
}

/// The input of this call.
pub fn input() -> Vec<u8> {
    unsafe { load(raw::input_offset(), raw::input_length()) }
}

/// Sets the output of this call.
pub fn output(text: &str) {
    unsafe { raw::output_set(store(text.as_bytes()), text.len() as u64) }
}

/// Fails this call with a message.
pub fn error(text: &str) {
    unsafe { raw::error_set(store(text.as_bytes())) }
}

/// An HTTP response, which may be the host's refusal.
pub struct Response {
    pub status: u32,
    pub headers: Vec<u8>,
    pub body: Vec<u8>,
}

/// Sends one request: a JSON object with url, method and headers.
pub fn http(request: &str) -> Response {
    unsafe {
        let body = raw::http_request(store(request.as_bytes()), 0);
        let headers = raw::http_headers();
        Response {
            status: raw::http_status_code(),
            headers: load(headers, raw::length(headers)),
            body: load(body, raw::length(body)),
        }
    }
}
