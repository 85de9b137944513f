-- The questions people ask first. Each is one view with a comment that says what it answers.

CREATE OR REPLACE VIEW open_risks AS
SELECT
    band, score, title, component, owner, fix, due_at, name, package, place, class, exposure, environments, runtime,
    kev, epss, cvss, severity, tools, evidence_total, first_seen, risk, revision
FROM risks FINAL
WHERE state = 'open'
ORDER BY band_rank DESC, score DESC, component, risk
COMMENT 'What to fix first: open risks, most urgent first.';

CREATE OR REPLACE VIEW funnel AS
SELECT
    (SELECT sum(sightings) FROM scan_runs FINAL)                                                        AS sightings,
    (SELECT uniqExact(finding) FROM findings FINAL WHERE left_component = 'none')                        AS findings,
    (SELECT uniqExact(finding) FROM findings FINAL
      WHERE left_component = 'none' AND counts AND state NOT IN ('fixed', 'superseded'))                 AS findings_active,
    (SELECT count() FROM risks FINAL WHERE state = 'open')                                               AS risks_open,
    (SELECT count() FROM risks FINAL WHERE state = 'open' AND band = 'immediate')                        AS immediate,
    (SELECT count() FROM risks FINAL WHERE state = 'open' AND band = 'out_of_cycle')                     AS out_of_cycle,
    (SELECT count() FROM risks FINAL WHERE state = 'open' AND band = 'scheduled')                        AS scheduled,
    (SELECT count() FROM risks FINAL WHERE state = 'open' AND band = 'defer')                            AS defer,
    (SELECT count() FROM tickets FINAL WHERE state = 'open')                                             AS tickets_open,
    (SELECT count() FROM rejects FINAL)                                                                  AS rejects
COMMENT 'From what tools said to what people must do.';

CREATE OR REPLACE VIEW by_owner AS
SELECT
    if(owner = '', '(nobody)', owner)          AS owner,
    count()                                    AS risks_open,
    countIf(band = 'immediate')                AS immediate,
    countIf(band = 'out_of_cycle')             AS out_of_cycle,
    countIf(band = 'scheduled')                AS scheduled,
    countIf(band = 'defer')                    AS defer,
    uniqExact(component)                       AS components,
    min(due_at)                                AS next_due,
    min(first_seen)                            AS oldest
FROM risks FINAL
WHERE state = 'open'
GROUP BY owner
ORDER BY immediate DESC, out_of_cycle DESC, scheduled DESC, risks_open DESC, owner
COMMENT 'Who has what to do.';

CREATE OR REPLACE VIEW coverage AS
WITH
    ['vulnerability', 'weakness', 'secret'] AS expected,
    seen AS
    (
        SELECT component, class, max(started_at) AS last_complete_scan, uniqExact(tool) AS tools
        FROM (SELECT arrayJoin(components) AS component, classes, started_at, tool FROM scan_runs FINAL WHERE state = 'applied')
        ARRAY JOIN classes AS class
        GROUP BY component, class
    )
SELECT
    c.component                                             AS component,
    c.owner                                                 AS owner,
    c.tier                                                  AS tier,
    c.class                                                 AS class,
    if(seen.tools = 0, NULL, seen.last_complete_scan)       AS last_complete_scan,
    seen.tools > 0                                          AS covered
FROM (SELECT component, owner, tier, arrayJoin(expected) AS class FROM components FINAL WHERE NOT deleted) AS c
LEFT JOIN seen ON seen.component = c.component AND seen.class = c.class
ORDER BY covered, tier, component, class
COMMENT 'Which component is scanned for what; what is not scanned must not look green.';

CREATE OR REPLACE VIEW risk_history AS
SELECT
    component, risk, generation, revision, kind, state, band, score, reason, decided_at,
    leadInFrame(decided_at, 1, toDateTime64('2299-12-31 00:00:00', 3, 'UTC'))
        OVER (PARTITION BY component, risk ORDER BY generation, revision ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS valid_to
FROM risk_changes FINAL
COMMENT 'What did we know on date X: WHERE component = … AND decided_at <= X AND valid_to > X.';
