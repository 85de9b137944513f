//! What tells a topic from one that was made anew under its name: the id that the cluster gave it. The client knows it, its Rust
//! wrapper does not pass it on yet.
#![allow(unsafe_code)] // the calls of one question; every pointer is owned by a guard or borrowed from one

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;

use rdkafka::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_DescribeTopics, rd_kafka_DescribeTopics_result_topics, rd_kafka_TopicCollection_destroy,
    rd_kafka_TopicCollection_of_topic_names, rd_kafka_TopicDescription_error, rd_kafka_TopicDescription_name,
    rd_kafka_TopicDescription_t, rd_kafka_TopicDescription_topic_id, rd_kafka_Uuid_least_significant_bits,
    rd_kafka_Uuid_most_significant_bits, rd_kafka_admin_op_t, rd_kafka_error_code,
    rd_kafka_event_DescribeTopics_result, rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_error_string,
    rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_resp_err_t,
};
use rdkafka::consumer::Consumer as _;

use super::client::{Asker, PATIENCE};
use crate::log::LogError;

/// What was made by the client, and how it is given back.
struct Owned<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Owned<T> {
    fn of(made: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Result<Self, LogError> {
        let made = NonNull::new(made).ok_or_else(|| LogError::retry("Kafka's client has no answer about topics"))?;
        Ok(Self(made, destroy))
    }

    fn get(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: made by the client, given back once, with the function that belongs to it.
        unsafe { (self.1)(self.0.as_ptr()) }
    }
}

/// The ids of topics, by their names on the cluster. A topic that this principal may not see, that is not there, or whose cluster
/// gives no ids (before Kafka 2.8) is absent.
pub(super) fn topic_ids(asker: &Asker, names: &[String]) -> Result<BTreeMap<String, String>, LogError> {
    let texts: Result<Vec<CString>, _> = names.iter().map(|name| CString::new(name.as_str())).collect();
    let texts = texts.map_err(|_| LogError::fatal("a topic's name holds a zero byte"))?;
    let mut pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    let client = asker.client().native_ptr();
    // SAFETY: the client outlives this call, for `asker` is borrowed; the names outlive the collection, which copies them; options,
    // queue, collection and event are given back by their guards after the last use, the queue last; the result and the
    // descriptions live as long as the event.
    unsafe {
        let queue = Owned::of(rd_kafka_queue_new(client), rd_kafka_queue_destroy)?;
        let topics = Owned::of(
            rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            rd_kafka_TopicCollection_destroy,
        )?;
        let options = rd_kafka_AdminOptions_new(client, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let options = Owned::of(options, rd_kafka_AdminOptions_destroy)?;
        let patience = PATIENCE.as_millis() as i32;
        rd_kafka_AdminOptions_set_request_timeout(options.get(), patience, std::ptr::null_mut(), 0);
        rd_kafka_DescribeTopics(client, topics.get(), options.get(), queue.get());
        // A moment more than the question may take: it always ends in an event.
        let event = Owned::of(rd_kafka_queue_poll(queue.get(), patience + 1_000), rd_kafka_event_destroy)?;
        if rd_kafka_event_error(event.get()) != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            let why = text(rd_kafka_event_error_string(event.get()));
            return Err(LogError::retry(format!("cannot ask for the ids of topics: {why}")));
        }
        let result = rd_kafka_event_DescribeTopics_result(event.get());
        if result.is_null() {
            return Err(LogError::retry("cannot ask for the ids of topics: another answer came"));
        }
        let mut count = 0;
        let described = rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        let described = if count == 0 { &[][..] } else { std::slice::from_raw_parts(described, count) };
        Ok(described.iter().filter_map(|topic| id(*topic)).collect())
    }
}

/// # Safety
/// `topic` is a description of an event that lives.
unsafe fn id(topic: *const rd_kafka_TopicDescription_t) -> Option<(String, String)> {
    // SAFETY: as promised; what is asked of a description lives as long as it.
    unsafe {
        let error = rd_kafka_TopicDescription_error(topic);
        let refused = !error.is_null() && rd_kafka_error_code(error) != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        let uuid = rd_kafka_TopicDescription_topic_id(topic);
        if refused || uuid.is_null() {
            return None;
        }
        let bits = (rd_kafka_Uuid_most_significant_bits(uuid), rd_kafka_Uuid_least_significant_bits(uuid));
        let name = text(rd_kafka_TopicDescription_name(topic));
        (bits != (0, 0)).then(|| (name, format!("{:016x}{:016x}", bits.0, bits.1)))
    }
}

/// # Safety
/// `text` is null or ends with a zero byte, and lives.
unsafe fn text(text: *const c_char) -> String {
    // SAFETY: as promised.
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}
