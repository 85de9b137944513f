-- Current state: one row per natural key, replaced by version. PARTITION BY an immutable bucket (topic partition mod 8),
-- ORDER BY (component, id): one component's page reads one range. No TTL here: on a replacing table it brings closed rows back.

CREATE TABLE IF NOT EXISTS risks
(
    component           String                  COMMENT 'what an owner owns; an unclaimed asset is its own component',
    risk                String                  COMMENT 'id: function of component, class and group',
    bucket              UInt8                   COMMENT 'topic partition mod 8',
    version             UInt64                  COMMENT 'generation * 2^20 + revision; the highest wins',
    generation          Int64,
    revision            Int64,
    state               LowCardinality(String)  COMMENT 'open | suppressed | resolved',
    class               LowCardinality(String)  COMMENT 'vulnerability | weakness | secret | misconfiguration | web | …',
    title               String,
    name                String                  COMMENT 'CVE, CWE, control or rule',
    vulnerability_ids   Array(String),
    cwes                Array(UInt32),
    package             String                  COMMENT 'purl without version',
    installed_versions  Array(String),
    place               String                  COMMENT 'path, resource, endpoint or secret family',
    band                LowCardinality(String)  COMMENT 'immediate | out_of_cycle | scheduled | defer',
    band_rank           UInt8                   COMMENT '3 = immediate … 0 = defer',
    score               Int32                   COMMENT 'rank inside the band, 0–1000',
    severity            LowCardinality(String)  COMMENT 'highest severity a tool reports',
    contributions       String                  COMMENT 'JSON array: factor, value, source, observed_at, points, assumed',
    decision            String                  COMMENT 'JSON array of steps: kind, band, reason, assumed',
    model_version       LowCardinality(String),
    inputs_digest       String,
    owner               LowCardinality(String)  COMMENT 'team; empty: nobody is known',
    owner_source        LowCardinality(String),
    owner_confidence    LowCardinality(String),
    tier                Int32                   COMMENT 'business criticality 1 (highest) – 4; 0 unknown',
    environments        Array(String),
    exposure            LowCardinality(String)  COMMENT 'unknown | small | controlled | open',
    deployed            Nullable(Bool)          COMMENT 'NULL: nothing says',
    runtime             LowCardinality(String)  COMMENT 'unknown | not_seen | loaded | executed',
    kev                 Nullable(Bool)          COMMENT 'NULL: no catalogue was read',
    epss                Nullable(Float64),
    cvss                Nullable(Float64),
    verified            Bool                    COMMENT 'secret: somebody tried it and it worked',
    fix_kind            LowCardinality(String),
    fix_target          String,
    fix_version         String,
    fix                 String                  COMMENT 'one sentence',
    first_seen          DateTime64(3, 'UTC'),
    opened_at           DateTime64(3, 'UTC'),
    clock_start         DateTime64(3, 'UTC'),
    due_at              Nullable(DateTime64(3, 'UTC')),
    resolved_at         Nullable(DateTime64(3, 'UTC')),
    reopened            UInt32,
    suppressed_by       String,
    confirmed_by        Array(String),
    tools               Array(String),
    evidence            String                  COMMENT 'JSON array, first 32',
    evidence_total      UInt32,
    backfill            Bool,
    decided_at          DateTime64(3, 'UTC'),
    chain_head          String
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY bucket
ORDER BY (component, risk)
COMMENT 'Prioritised risks, current state. Read with FINAL, or through open_risks.';

CREATE TABLE IF NOT EXISTS findings
(
    component       String,
    finding         String,
    bucket          UInt8,
    version         UInt64                  COMMENT 'offset on the topic + 1',
    asset           String,
    class           LowCardinality(String),
    state           LowCardinality(String)  COMMENT 'active | fixed | not_observed | stale | superseded',
    counts          Bool                    COMMENT 'its branch is tracked, its digest deployed or newest',
    left_component  LowCardinality(String)  COMMENT 'none | moved | forgotten',
    moved_to        String,
    rule            String,
    title           String,
    severity        LowCardinality(String)  COMMENT 'highest a tool reports',
    cvss            Nullable(Float64),
    cwes            Array(UInt32),
    aliases         Array(String),
    package         String,
    package_version String,
    fixed_versions  Array(String),
    path            String,
    start_line      UInt32,
    resource        String,
    endpoint        String,
    secret_family   LowCardinality(String),
    tools           Array(String),
    runtime         LowCardinality(String),
    attributed_by   LowCardinality(String),
    first_seen      DateTime64(3, 'UTC'),
    state_since     DateTime64(3, 'UTC'),
    reopened        UInt32,
    backfill        Bool
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY bucket
ORDER BY (component, finding)
COMMENT 'Tracked findings per component, current state.';

CREATE TABLE IF NOT EXISTS components
(
    component   String,
    bucket      UInt8,
    version     UInt64,
    title       String,
    owner       LowCardinality(String),
    tier        Int32,
    lifecycle   LowCardinality(String),
    type        LowCardinality(String),
    system      LowCardinality(String),
    sources     Array(String)   COMMENT 'host/org/name or host/org/name//path',
    assets      Array(String)   COMMENT 'cloud accounts, web origins it owns',
    deleted     Bool
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY bucket
ORDER BY component
COMMENT 'The catalogue as related.';

CREATE TABLE IF NOT EXISTS deployments
(
    workload    String  COMMENT 'workload:cluster/namespace/kind/name',
    bucket      UInt8,
    version     UInt64,
    environment LowCardinality(String),
    component   String  COMMENT 'named by a label; empty when by build',
    images      Array(String),
    observed_at DateTime64(3, 'UTC'),
    deleted     Bool
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY bucket
ORDER BY workload
COMMENT 'What runs where.';

CREATE TABLE IF NOT EXISTS intel
(
    vulnerability   String,
    bucket          UInt8,
    version         UInt64,
    summary         String,
    kev             Bool,
    kev_added       String,
    ransomware      Bool,
    epss            Nullable(Float64),
    epss_percentile Nullable(Float64),
    epss_date       String,
    cvss            Nullable(Float64),
    cvss_vector     String,
    exploitation    LowCardinality(String),
    automatable     LowCardinality(String),
    impact          LowCardinality(String),
    aliases         Array(String),
    bundles         Array(String),
    deleted         Bool
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY bucket
ORDER BY vulnerability
COMMENT 'What is known about vulnerabilities: KEV, EPSS, CVSS, SSVC, aliases.';

CREATE TABLE IF NOT EXISTS tickets
(
    ticket          String,
    bucket          UInt8,
    version         UInt64  COMMENT 'revision',
    state           LowCardinality(String),
    title           String,
    body            String,
    components      Array(String),
    owner           LowCardinality(String),
    band            LowCardinality(String),
    due_at          Nullable(DateTime64(3, 'UTC')),
    fix_kind        LowCardinality(String),
    fix_target      String,
    fix_version     String,
    fix             String,
    risks           Array(String),
    risks_total     UInt32,
    risks_open      UInt32,
    labels          Array(String),
    opened_at       DateTime64(3, 'UTC'),
    updated_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY bucket
ORDER BY ticket
COMMENT 'Requested work: one per fix target.';

CREATE TABLE IF NOT EXISTS scan_runs
(
    asset           String,
    scope           String,
    scan_id         String,
    bucket          UInt8,
    version         UInt64,
    tool            LowCardinality(String),
    format          LowCardinality(String),
    classes         Array(LowCardinality(String)),
    components      Array(String),
    state           LowCardinality(String)  COMMENT 'receiving | applied | partial | suspect | outdated',
    is_watermark    Bool                    COMMENT 'the latest complete scan of its scope',
    parts_expected  UInt32,
    parts_received  UInt32,
    sightings       UInt32,
    new             UInt32,
    unchanged       UInt32,
    reopened        UInt32,
    gone            UInt32,
    started_at      DateTime64(3, 'UTC'),
    updated_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY bucket
ORDER BY (asset, scope, scan_id)
COMMENT 'The scan ledger.';

CREATE TABLE IF NOT EXISTS sbom_components
(
    asset       String,
    purl        String,
    version_    String  COMMENT 'installed version',
    bucket      UInt8,
    version     UInt64,
    name        String,
    ecosystem   LowCardinality(String),
    licence     String,
    observed_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY bucket
ORDER BY (asset, purl, version_)
COMMENT 'Inventories: which asset contains which package.';
