//! Tetragon events (JSON lines) → which binaries ran and which files were mapped or opened, per image.
//! Repetitions are counted; every image that appears is also `Watched`, so that silence about a package means something.

use std::collections::BTreeMap;

use serde::Deserialize;
use tributary_model::observation::{RuntimeUse, UseLevel};
use tributary_model::time::Millis;
use tributary_model::{asset, entity};

use crate::event::{Events, Input, Rejection, RuntimeReport, code};
use crate::normalize::image_reference::ImageReference;
use crate::normalize::workload_name;
use crate::time;

/// One line: exactly one of the kinds is there.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Line {
    process_exec: Option<Activity>,
    process_kprobe: Option<Activity>,
    process_lsm: Option<Activity>,
    process_loader: Option<Activity>,
    process_uprobe: Option<Activity>,
    // Other kinds, also those of older exporters, tell that a sensor watches.
    process_exit: Option<Activity>,
    process_tracepoint: Option<Activity>,
    process_connect: Option<Activity>,
    process_listen: Option<Activity>,
    process_accept: Option<Activity>,
    process_close: Option<Activity>,
    time: Option<String>,
    cluster_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Activity {
    process: Option<Process>,
    function_name: String,
    args: Option<Vec<Argument>>,
    /// Of a loaded or probed object.
    path: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Process {
    binary: String,
    pod: Option<Pod>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pod {
    namespace: String,
    name: String,
    container: Option<Container>,
    workload: String,
    workload_kind: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Container {
    image: Option<Image>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Image {
    id: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Argument {
    #[serde(rename = "file_arg")]
    file: Option<PathArgument>,
    #[serde(rename = "path_arg")]
    path: Option<PathArgument>,
    #[serde(rename = "string_arg")]
    text: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PathArgument {
    path: String,
}

/// What was seen in one asset.
#[derive(Default)]
struct Seen {
    latest: Option<Millis>,
    /// (workload, path, level) → how often.
    counts: BTreeMap<(String, String, UseLevel), u32>,
}

/// Runtime reports by `tetragon`, one per image digest (per workload where the digest is unknown). Processes outside pods
/// belong to no image and are left out; a record with nothing else is rejected.
pub fn normalize(input: &Input<'_>) -> Result<Events, Rejection> {
    let mut seen = BTreeMap::<String, Seen>::new();
    let mut lines = 0_u64;
    for line in serde_json::Deserializer::from_slice(input.body).into_iter::<Line>() {
        let line = line.map_err(|error| Rejection::json("Tetragon", &error))?;
        lines += 1;
        record(input, line, &mut seen);
    }
    if seen.is_empty() {
        return Err(match lines {
            0 => Rejection::new(
                code::NOTHING_IN_IT,
                "there is no Tetragon event in it: send the JSON export, one event a line",
            ),
            _ => Rejection::new(
                code::NO_ASSET,
                "no Tetragon event names a pod: only processes in pods can be attributed to an image or workload",
            ),
        });
    }
    let runtime = seen.into_iter().map(|(asset, seen)| RuntimeReport {
        asset,
        tool: "tetragon".to_owned(),
        observed_at: seen.latest.unwrap_or_else(|| input.default_time()),
        uses: seen
            .counts
            .into_iter()
            .map(|((workload, path, level), count)| RuntimeUse { workload, path, level, count })
            .collect(),
    });
    Ok(Events { runtime: runtime.collect(), ..Events::default() })
}

fn record(input: &Input<'_>, mut line: Line, seen: &mut BTreeMap<String, Seen>) {
    let at = line.time.as_deref().and_then(time::parse);
    let cluster_name = line.cluster_name.take();
    let Some((level, activity)) = activity_of(line) else { return };
    let uses = uses_of(&activity, level);
    let Some(pod) = activity.process.and_then(|process| process.pod).filter(|pod| !pod.name.is_empty()) else { return };
    let cluster = workload_name::cluster(input, cluster_name.as_deref());
    let (kind, name) = match pod.workload.as_str() {
        "" => workload_name::of_pod(&pod.name),
        // Tetragon calls a bare pod's own name its workload.
        name => (if pod.workload_kind.is_empty() { "pod" } else { pod.workload_kind.as_str() }, name),
    };
    let workload = entity::workload(&cluster, &pod.namespace, kind, name);
    let image =
        pod.container.and_then(|container| container.image).map(|image| ImageReference::parse(&image.id).digest);
    let digest = image.filter(|digest| !digest.is_empty());
    let key = digest.and_then(|digest| asset::image(&digest)).unwrap_or_else(|| workload.clone());
    let seen = seen.entry(key).or_default();
    seen.latest = seen.latest.max(at);
    for (path, level) in uses.into_iter().chain([(String::new(), UseLevel::Watched)]) {
        let count = seen.counts.entry((workload.clone(), path, level)).or_default();
        *count = count.saturating_add(1);
    }
}

/// The one activity of a line, and what it does to the paths that it names.
fn activity_of(line: Line) -> Option<(UseLevel, Activity)> {
    let loaded = line.process_loader.or(line.process_uprobe);
    let called = line.process_kprobe.or(line.process_lsm);
    let other = line.process_exit.or(line.process_tracepoint).or(line.process_connect).or(line.process_listen);
    let other = other.or(line.process_accept).or(line.process_close);
    let executed = line.process_exec.map(|activity| (UseLevel::Executed, activity));
    let called = called.map(|activity| {
        let level = if is_loading(&activity.function_name) { UseLevel::Loaded } else { UseLevel::Watched };
        (level, activity)
    });
    let loaded = loaded.map(|activity| (UseLevel::Loaded, activity));
    executed.or(loaded).or(called).or(other.map(|activity| (UseLevel::Watched, activity)))
}

/// Absolute paths that were used at this level.
fn uses_of(activity: &Activity, level: UseLevel) -> Vec<(String, UseLevel)> {
    let binary = activity.process.as_ref().map(|process| process.binary.as_str());
    let arguments = activity.args.iter().flatten().flat_map(|argument| {
        let path = [&argument.file, &argument.path].into_iter().flatten().map(|argument| argument.path.as_str());
        path.chain(argument.text.as_deref())
    });
    let paths: Vec<&str> = match level {
        UseLevel::Executed => binary.into_iter().collect(),
        UseLevel::Loaded => activity.path.as_deref().into_iter().chain(arguments).collect(),
        UseLevel::Watched => Vec::new(),
    };
    let mut paths: Vec<&str> = paths.into_iter().filter(|path| path.starts_with('/') && path.len() > 1).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.into_iter().map(|path| (path.to_owned(), level)).collect()
}

/// Kernel functions after which a file's content is in the process: mapped, or opened (jars, scripts and wheels are read,
/// never mapped). Writing, deleting and changing attributes are no use of a library.
fn is_loading(function: &str) -> bool {
    ["mmap", "open", "fd_install", "kernel_read", "sys_read"].iter().any(|part| function.contains(part))
}

#[cfg(test)]
mod tests {
    use tributary_model::record::Extensions;

    use super::*;
    use crate::normalize::fact_lines::{check_robust, run};

    const HEX: &str = "7878787878787878787878787878787878787878787878787878787878787878";

    fn line(kind: &str, image: &str, workload: &str, rest: &str) -> String {
        format!(
            r#"{{"{kind}":{{"process":{{"binary":"/usr/bin/java","arguments":"--token hunter2","pod":{{"namespace":"shop","name":"till-56f8fc6988-pb8c7",
            "container":{{"image":{{"id":"{image}"}}}}{workload}}}}}{rest}}},"time":"2026-04-01T00:00:00Z"}}"#
        )
    }

    fn shown(body: &str) -> Vec<String> {
        let ext = Extensions { resource: Some("cluster/eu".into()), ..Extensions::default() };
        let events = run(normalize, body, ext).unwrap();
        let shown = events.runtime.iter().flat_map(|report| {
            report
                .uses
                .iter()
                .map(move |u| format!("{} {} {:?} {} x{}", report.asset, u.workload, u.level, u.path, u.count))
        });
        shown.collect()
    }

    #[test]
    fn use_is_counted_per_image() {
        let image = format!("docker-pullable://r.example/till@sha256:{HEX}");
        let workload = r#","workload":"till","workload_kind":"Deployment""#;
        let file = |function: &str, path: &str| {
            format!(r#","function_name":"{function}","args":[{{"int_arg":1}},{{"file_arg":{{"path":"{path}"}}}}]"#)
        };
        let body = [
            line("process_exec", &image, workload, ""),
            line("process_exec", &image, workload, ""),
            line("process_kprobe", &image, workload, &file("security_mmap_file", "/lib/libz.so.1")),
            line("process_kprobe", &image, workload, &file("__x64_sys_write", "/etc/passwd")),
            line("process_kprobe", &image, workload, &file("fd_install", "relative.jar")),
            line("process_loader", &image, workload, r#","path":"/lib/libssl.so.3""#),
            line("process_exit", &image, workload, ""),
        ]
        .join("\n");
        let asset = format!("image:sha256:{HEX} workload:eu/shop/deployment/till");
        assert_eq!(
            shown(&body),
            [
                format!("{asset} Watched  x7"),
                format!("{asset} Loaded /lib/libssl.so.3 x1"),
                format!("{asset} Loaded /lib/libz.so.1 x1"),
                format!("{asset} Executed /usr/bin/java x2"),
            ]
        );
        check_robust(normalize, &body);
    }

    #[test]
    fn without_a_digest_the_workload_is_the_asset() {
        let body = line("process_connect", "r.example/till:3", "", "");
        let workload = "workload:eu/shop/deployment/till";
        assert_eq!(shown(&body), [format!("{workload} {workload} Watched  x1")]);
    }

    #[test]
    fn processes_outside_pods_have_no_asset() {
        let body = r#"{"process_exec":{"process":{"binary":"/bin/sh"}},"node_name":"n"}"#;
        assert_eq!(run(normalize, body, Extensions::default()).unwrap_err().code, code::NO_ASSET);
    }
}
