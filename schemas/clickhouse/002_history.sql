-- History: rows are never updated; a replayed row replaces its equal. Partitions are dropped whole when retention says so.

CREATE TABLE IF NOT EXISTS risk_changes
(
    component       String,
    risk            String,
    generation      Int64,
    revision        Int64,
    version         UInt64                  COMMENT 'offset on the topic + 1; equal rows on a replay',
    kind            LowCardinality(String)  COMMENT 'opened | updated | reprioritised | suppressed | resolved | reopened | merged | split | moved',
    fields          Array(String),
    reason          String,
    band_before     LowCardinality(String),
    band            LowCardinality(String),
    score           Int32,
    state           LowCardinality(String),
    other           String,
    actor           String,
    cause           String                  COMMENT 'topic/partition/offset of the input',
    event_at        DateTime64(3, 'UTC'),
    decided_at      DateTime64(3, 'UTC'),
    model_version   LowCardinality(String),
    inputs_before   String,
    inputs_after    String,
    previous_hash   String,
    hash            String
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(decided_at)
ORDER BY (component, risk, generation, revision)
COMMENT 'What changed, why, caused by which input; hash-chained per risk.';

CREATE TABLE IF NOT EXISTS rejects
(
    topic       LowCardinality(String),
    partition   UInt32,
    offset      Int64,
    version     UInt64,
    stage       LowCardinality(String),
    code        LowCardinality(String),
    reason      String,
    at          String,
    format      LowCardinality(String),
    class       LowCardinality(String),
    source      String,
    excerpt     String,
    size_bytes  Int64,
    rejected_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(rejected_at)
ORDER BY (topic, partition, offset)
COMMENT 'Inputs that yielded no event, and what to do about each.';
