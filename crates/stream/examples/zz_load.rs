use std::sync::Arc; use std::time::Instant; use bytes::Bytes; use tributary_model::Topic; use tributary_stream::*; use tributary_stream::log::*;
fn main(){ let kind=std::env::args().nth(1).unwrap(); let n:u64=std::env::args().nth(2).unwrap().parse().unwrap(); let size:u64=std::env::args().nth(3).unwrap().parse().unwrap();
 let dir=tempfile::tempdir_in("/work").unwrap(); let log=EmbeddedLog::open(dir.path(),EmbeddedSettings::default(),Arc::new(tributary_stream::clock::SystemClock)).unwrap();
 let topic= if kind=="c" {Topic::Risks} else {Topic::Changes}; let modulo= if kind=="c" {200_000} else {u64::MAX};
 let p=log.producer().unwrap(); let mut batches=Vec::new(); let mut k=0u64;
 for _ in 0..n/size { batches.push((0..size).map(|_|{k+=1; let key=format!("key-{:012}",k%modulo); let mut s=k|1; let v:Bytes=(0..400).map(|_|{s^=s<<13;s^=s>>7;s^=s<<17;b'a'+(s%16) as u8}).collect(); Output{topic,partition_key:key.clone(),key:key.into(),value:Some(v),headers:vec![]}}).collect::<Vec<_>>()); }
 let ru=||{let s=std::fs::read_to_string("/proc/self/stat").unwrap(); let f:Vec<&str>=s.rsplit(')').next().unwrap().split_whitespace().collect(); (f[11].parse::<f64>().unwrap()/100.0, f[12].parse::<f64>().unwrap()/100.0)};
 let a=ru(); let t=Instant::now(); for b in batches { p.append(b).unwrap(); } let e=t.elapsed().as_secs_f64(); let b=ru();
 eprintln!("{kind} n={n} wall {:.2}s {:.0}/s  user {:.2} sys {:.2}  cpu/rec {:.2}us", e, n as f64/e, b.0-a.0,b.1-a.1,(b.0-a.0+b.1-a.1)*1e6/n as f64);
 for l in std::fs::read_dir("/proc/self/task").unwrap(){ let l=l.unwrap(); let s=std::fs::read_to_string(l.path().join("stat")).unwrap(); let f:Vec<&str>=s.rsplit(')').next().unwrap().split_whitespace().collect(); eprintln!("  {} user {} sys {}", std::fs::read_to_string(l.path().join("comm")).unwrap().trim(), f[11],f[12]); }
}
