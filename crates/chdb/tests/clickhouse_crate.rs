//! The `clickhouse` crate, which is what the sink uses: RowBinary inserts with LZ4, bound parameters, errors.

mod support;

use clickhouse::{Client, Compression, Row};
use serde::{Deserialize, Serialize};
use support::{ANALYST, Engine, SINK, runtime};

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Finding {
    id: u64,
    title: String,
    score: Option<f64>,
    tags: Vec<String>,
}

fn client(engine: &Engine, who: (&str, &str)) -> Client {
    Client::default().with_url(engine.handle.url()).with_user(who.0).with_password(who.1)
}

fn findings(count: u64) -> Vec<Finding> {
    let finding = |id| Finding {
        id,
        title: format!("\n\n{id} \u{1F30A}"),
        score: (id % 3 > 0).then_some(id as f64 / 2.0),
        tags: vec!["a".into(); (id % 4) as usize],
    };
    (0..count).map(finding).collect()
}

#[test]
fn rows_go_in_and_come_out_as_they_were() {
    let engine = Engine::shared();
    runtime().block_on(async {
        for (table, compression, validation) in [
            ("lz4_typed", Compression::Lz4, true),
            ("lz4_plain", Compression::Lz4, false),
            ("plain_typed", Compression::None, true),
        ] {
            let client = client(&engine, SINK).with_compression(compression).with_validation(validation);
            let columns = "(id UInt64, title String, score Nullable(Float64), tags Array(String))";
            client
                .query(&format!("CREATE TABLE {table} {columns} ENGINE = MergeTree ORDER BY id"))
                .execute()
                .await
                .unwrap();
            let rows = findings(50_000);
            let mut insert = client.insert::<Finding>(table).await.unwrap();
            for row in &rows {
                insert.write(row).await.unwrap();
            }
            insert.end().await.unwrap();
            let sql = format!("SELECT ?fields FROM {table} ORDER BY id");
            let read = client.query(&sql).fetch_all::<Finding>().await.unwrap();
            assert!(read == rows, "{table}");
        }
    });
}

#[test]
fn parameters_are_bound_by_the_engine() {
    let engine = Engine::shared();
    runtime().block_on(async {
        let client = client(&engine, ANALYST);
        let sql = "SELECT {a:UInt64} + ?, {s:String}, length({list:Array(String)})";
        let query = client
            .query(sql)
            .bind(1_u64)
            .param("a", 41_u64)
            .param("s", "it's \\ \n\n\t")
            .param("list", vec!["x", "y'"]);
        let row = query.fetch_one::<(u64, String, u64)>().await.unwrap();
        assert_eq!(row, (42, "it's \\ \n\n\t".to_owned(), 2));
    });
}

#[test]
fn errors_arrive_early_and_late() {
    let engine = Engine::shared();
    runtime().block_on(async {
        let client = client(&engine, ANALYST);
        let early = client.query("SELECT * FROM nowhere").fetch_all::<u8>().await.unwrap_err().to_string();
        assert!(early.contains("UNKNOWN_TABLE"), "{early}");
        let refused = client.query("DROP TABLE nowhere").execute().await.unwrap_err().to_string();
        assert!(refused.contains("READONLY"), "{refused}");
        for compression in [Compression::Lz4, Compression::None] {
            let client = client.clone().with_compression(compression);
            let sql = "SELECT throwIf(number = 5000000) FROM numbers(6000000)";
            let late = client.query(sql).fetch_all::<u8>().await.unwrap_err().to_string();
            assert!(late.contains("FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"), "{late}");
        }
    });
}

#[test]
fn an_insert_that_is_cut_off_leaves_nothing() {
    let engine = Engine::shared();
    engine.sql("CREATE TABLE cut (id UInt64, title String, score Nullable(Float64), tags Array(String)) ENGINE = MergeTree ORDER BY id");
    runtime().block_on(async {
        let client = client(&engine, SINK);
        let mut insert = client.insert::<Finding>("cut").await.unwrap();
        for row in findings(20_000) {
            insert.write(&row).await.unwrap();
        }
        drop(insert);
    });
    assert_eq!(engine.sql("SELECT count() FROM cut"), "0\n");
}
