#!/usr/bin/env python3
"""Writes noise/: the bulk that a real estate drowns in and that must disappear from the short list.

Run `python3 examples/estate/generate.py` from anywhere; the outputs are committed and a second run changes nothing
(seeded, no clock). Everything that tells the story is written by hand in the sibling folders and is not touched.
"""
import hashlib
import json
import pathlib
import random

OUT = pathlib.Path(__file__).resolve().parent / "noise"
ORG, REGISTRY = "larkspur-ferries", "registry.larkspur.example"
BASE_OLD = "12-20260914"
# component: (repository, image path, the digest that ran until 5 November)
IMAGES = {
    "booking-api": ("booking-api", "booking/booking-api", "2026.9.4"),
    "web-checkout": ("web-checkout", "web/web-checkout", "5.18.0"),
    "fare-engine": ("pricing", "pricing/fare-engine", "1.40.0"),
    "tariff-admin": ("pricing", "pricing/tariff-admin", "3.2.0"),
    "notification-worker": ("notification-worker", "messaging/notification-worker", "0.88.0"),
}
# images of pull requests: built and scanned, never deployed
PULL_REQUESTS = [
    ("web-checkout", "pr-412", "2026-10-14T15:30:00Z"), ("booking-api", "pr-977", "2026-10-15T15:30:00Z"), ("web-checkout", "pr-418", "2026-10-16T09:30:00Z"),
    ("fare-engine", "pr-231", "2026-10-16T15:30:00Z"), ("tariff-admin", "pr-233", "2026-10-17T15:30:00Z"), ("notification-worker", "pr-88", "2026-10-18T15:30:00Z"),
]

LOCAL_LOW = "AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:L"
LOCAL_MID = "AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H"
NET_DOS = "AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
NET_HARD = "AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:N"
# Debian 12 packages of the retired base image: (source, version, binaries, [(CVE, severity, score, vector, fixed in)])
DEBIAN = [
    ("apt", "2.6.1", ["apt", "libapt-pkg6.0"], [("CVE-2011-3374", "LOW", 3.7, NET_HARD, None)]),
    ("coreutils", "9.1-1", ["coreutils"], [("CVE-2016-2781", "LOW", 6.5, LOCAL_LOW, None), ("CVE-2017-18018", "LOW", 4.7, LOCAL_LOW, None)]),
    ("gcc-12", "12.2.0-14", ["gcc-12-base", "libgcc-s1", "libstdc++6"], [("CVE-2022-27943", "LOW", 5.5, LOCAL_MID, None), ("CVE-2023-4039", "LOW", 4.8, NET_HARD, None)]),
    ("glibc", "2.36-9+deb12u4", ["libc-bin", "libc6"], [
        ("CVE-2010-4756", "LOW", 4.0, LOCAL_LOW, None), ("CVE-2018-20796", "LOW", 7.5, NET_DOS, None), ("CVE-2019-1010022", "LOW", 9.8, NET_HARD, None),
        ("CVE-2019-1010023", "LOW", 8.8, LOCAL_MID, None), ("CVE-2019-1010024", "LOW", 5.3, NET_HARD, None), ("CVE-2019-1010025", "LOW", 5.3, NET_HARD, None),
        ("CVE-2019-9192", "LOW", 7.5, NET_DOS, None), ("CVE-2024-33599", "HIGH", 8.1, NET_HARD, "2.36-9+deb12u7"), ("CVE-2024-33600", "MEDIUM", 5.9, NET_HARD, "2.36-9+deb12u7"),
        ("CVE-2024-33601", "MEDIUM", 7.3, LOCAL_LOW, "2.36-9+deb12u7"), ("CVE-2024-33602", "MEDIUM", 7.4, LOCAL_LOW, "2.36-9+deb12u7")]),
    ("gnupg2", "2.2.40-1.1", ["gpgv"], [("CVE-2022-3219", "LOW", 3.3, LOCAL_LOW, None)]),
    ("gnutls28", "3.7.9-2+deb12u2", ["libgnutls30"], [("CVE-2011-3389", "MEDIUM", 4.3, NET_HARD, None), ("CVE-2024-28834", "MEDIUM", 5.3, NET_HARD, "3.7.9-2+deb12u3"), ("CVE-2024-28835", "MEDIUM", 5.0, LOCAL_MID, "3.7.9-2+deb12u3")]),
    ("libgcrypt20", "1.10.1-3", ["libgcrypt20"], [("CVE-2018-6829", "LOW", 7.5, NET_HARD, None), ("CVE-2024-2236", "LOW", 5.9, NET_HARD, None)]),
    ("ncurses", "6.4-4", ["libtinfo6", "ncurses-base", "ncurses-bin"], [("CVE-2023-50495", "MEDIUM", 6.5, LOCAL_MID, None)]),
    ("openldap", "2.5.13+dfsg-5", ["libldap-2.5-0"], [("CVE-2015-3276", "LOW", 7.5, NET_HARD, None), ("CVE-2017-14159", "LOW", 4.7, LOCAL_LOW, None), ("CVE-2017-17740", "LOW", 7.5, NET_HARD, None), ("CVE-2020-15719", "LOW", 4.2, NET_HARD, None)]),
    ("openssl", "3.0.11-1~deb12u2", ["libssl3", "openssl"], [
        ("CVE-2023-5678", "MEDIUM", 5.3, NET_HARD, "3.0.13-1~deb12u1"), ("CVE-2023-6129", "MEDIUM", 6.5, NET_HARD, "3.0.13-1~deb12u1"), ("CVE-2023-6237", "MEDIUM", 5.9, NET_HARD, "3.0.13-1~deb12u1"),
        ("CVE-2024-2511", "LOW", 5.9, NET_HARD, "3.0.14-1~deb12u1"), ("CVE-2024-4603", "LOW", 5.3, NET_HARD, "3.0.14-1~deb12u1"), ("CVE-2024-4741", "LOW", 7.5, NET_HARD, "3.0.14-1~deb12u1")]),
    ("pam", "1.5.2-6+deb12u1", ["libpam-modules", "libpam-modules-bin", "libpam-runtime", "libpam0g"], [("CVE-2024-10041", "MEDIUM", 4.7, LOCAL_LOW, None), ("CVE-2024-22365", "MEDIUM", 5.5, LOCAL_LOW, None)]),
    ("perl", "5.36.0-7+deb12u1", ["perl-base"], [("CVE-2011-4116", "LOW", 7.5, LOCAL_LOW, None), ("CVE-2023-31484", "HIGH", 8.1, NET_HARD, None), ("CVE-2023-31486", "LOW", 8.1, NET_HARD, None)]),
    ("shadow", "1:4.13+dfsg1-1", ["login", "passwd"], [("CVE-2007-5686", "LOW", 4.9, LOCAL_LOW, None), ("CVE-2019-19882", "LOW", 7.8, LOCAL_LOW, None), ("CVE-2023-29383", "LOW", 3.3, LOCAL_LOW, None), ("CVE-2023-4641", "MEDIUM", 5.5, LOCAL_LOW, None)]),
    ("sqlite3", "3.40.1-2", ["libsqlite3-0"], [("CVE-2021-45346", "LOW", 4.3, LOCAL_LOW, None), ("CVE-2023-7104", "HIGH", 7.3, LOCAL_MID, None)]),
    ("systemd", "252.22-1~deb12u1", ["libsystemd0", "libudev1"], [("CVE-2013-4392", "LOW", 3.3, LOCAL_LOW, None), ("CVE-2023-31437", "LOW", 5.3, NET_HARD, None), ("CVE-2023-31438", "LOW", 5.3, NET_HARD, None), ("CVE-2023-31439", "LOW", 5.3, NET_HARD, None)]),
    ("tar", "1.34+dfsg-1.2+deb12u1", ["tar"], [("CVE-2005-2541", "LOW", 10.0, LOCAL_LOW, None)]),
    ("util-linux", "2.38.1-5+b1", ["bsdutils", "libblkid1", "libmount1", "libsmartcols1", "libuuid1", "mount", "util-linux", "util-linux-extra"], [("CVE-2022-0563", "LOW", 5.5, LOCAL_LOW, None), ("CVE-2024-28085", "HIGH", 3.3, LOCAL_LOW, "2.38.1-5+deb12u1")]),
    ("curl", "7.88.1-10+deb12u5", ["curl", "libcurl4"], [("CVE-2024-2379", "LOW", 6.3, NET_HARD, None), ("CVE-2024-2398", "HIGH", 8.6, NET_DOS, "7.88.1-10+deb12u6"), ("CVE-2024-7264", "MEDIUM", 6.5, LOCAL_MID, "7.88.1-10+deb12u7")]),
]


def digest(text):
    return "sha256:" + hashlib.sha256(("larkspur/" + text).encode()).hexdigest()


def sha1(text):
    return hashlib.sha1(("larkspur/" + text).encode()).hexdigest()


def write(name, value):
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"
    path.write_text(text)


def rows(which):
    for source, version, binaries, flaws in which:
        for binary in binaries:
            for flaw in flaws:
                yield source, version, binary, flaw


def deb_purl(binary, version, suffix="&distro=debian-12.5"):
    return f"pkg:deb/debian/{binary.replace('+', '%2B')}@{version.replace('+', '%2B').replace(':', '%3A')}?arch=amd64{suffix}"


def uid(text):
    return hashlib.md5(text.encode()).hexdigest()[:16]


def trivy(component, tag, at, which):
    repo, path, _ = IMAGES[component]
    name = f"{REGISTRY}/{path}"
    manifest, config = digest(f"{component}:{tag}"), digest(f"{component}:{tag}/config")
    layer = {"Digest": digest(f"debian-runtime:{BASE_OLD}/layer0/blob"), "DiffID": digest(f"debian-runtime:{BASE_OLD}/layer0")}
    layers = [layer["DiffID"], digest(f"debian-runtime:{BASE_OLD}/layer1"), digest(f"{component}:{tag}/layer2"), digest(f"{component}:{tag}/layer3")]
    packages, vulnerabilities = [], []
    for source, version, binaries, _flaws in which:
        upstream, _, release = version.partition("-")
        for binary in binaries:
            purl = deb_purl(binary, version)
            packages.append({"ID": f"{binary}@{version}", "Name": binary, "Identifier": {"PURL": purl, "UID": uid(purl)}, "Version": upstream, "Release": release, "Arch": "amd64",
                             "SrcName": source, "SrcVersion": upstream, "SrcRelease": release, "Layer": layer})
    for _source, version, binary, (cve, severity, score, vector, fixed) in rows(which):
        purl = deb_purl(binary, version)
        row = {"VulnerabilityID": cve, "PkgID": f"{binary}@{version}", "PkgName": binary, "PkgIdentifier": {"PURL": purl, "UID": uid(purl)}, "InstalledVersion": version}
        if fixed:
            row["FixedVersion"] = fixed
        row.update({"Status": "fixed" if fixed else "affected", "Layer": layer, "SeveritySource": "debian", "PrimaryURL": "https://avd.aquasec.com/nvd/" + cve.lower(),
                    "DataSource": {"ID": "debian", "Name": "Debian Security Tracker", "URL": "https://salsa.debian.org/security-tracker-team/security-tracker"},
                    "Severity": severity, "CVSS": {"nvd": {"V3Vector": "CVSS:3.1/" + vector, "V3Score": score}}})
        vulnerabilities.append(row)
    return {"SchemaVersion": 2, "CreatedAt": at, "ArtifactName": f"{name}:{tag}", "ArtifactType": "container_image",
            "Metadata": {"OS": {"Family": "debian", "Name": "12.5"}, "ImageID": config, "DiffIDs": layers, "RepoTags": [f"{name}:{tag}"], "RepoDigests": [f"{name}@{manifest}"],
                         "ImageConfig": {"architecture": "amd64", "created": at, "os": "linux", "rootfs": {"type": "layers", "diff_ids": layers},
                                         "config": {"Labels": {"org.opencontainers.image.source": f"https://github.com/{ORG}/{repo}", "org.opencontainers.image.revision": sha1(f"{component}:{tag}/commit")}}}},
            "Results": [{"Target": f"{name}:{tag} (debian 12.5)", "Class": "os-pkgs", "Type": "debian", "Packages": packages, "Vulnerabilities": vulnerabilities}]}


def grype(component, tag, at, which):
    _, path, _ = IMAGES[component]
    name = f"{REGISTRY}/{path}"
    layer = digest(f"debian-runtime:{BASE_OLD}/layer0")
    matches = []
    for source, version, binary, (cve, severity, score, vector, fixed) in rows(which):
        word = "Negligible" if severity == "LOW" else severity.capitalize()
        purl = deb_purl(binary, version, "&distro=debian-12" + (f"&upstream={source}" if source != binary else ""))
        matches.append({
            "vulnerability": {"id": cve, "dataSource": "https://security-tracker.debian.org/tracker/" + cve, "namespace": "debian:distro:debian:12", "severity": word, "urls": [], "cvss": [],
                              "fix": {"versions": [fixed] if fixed else [], "state": "fixed" if fixed else "wont-fix"}, "advisories": []},
            "relatedVulnerabilities": [{"id": cve, "dataSource": "https://nvd.nist.gov/vuln/detail/" + cve, "namespace": "nvd:cpe", "severity": word, "urls": [],
                                        "cvss": [{"source": "nvd@nist.gov", "type": "Primary", "version": "3.1", "vector": "CVSS:3.1/" + vector, "metrics": {"baseScore": score}, "vendorMetadata": {}}]}],
            "matchDetails": [{"type": "exact-indirect-match" if source != binary else "exact-direct-match", "matcher": "dpkg-matcher", "searchedBy": {"namespace": "debian:distro:debian:12", "package": {"name": source, "version": version}},
                              "found": {"vulnerabilityID": cve, "versionConstraint": f"< {fixed} (deb)" if fixed else "none (unknown)"}}],
            "artifact": {"id": uid(purl), "name": binary, "version": version, "type": "deb", "locations": [{"path": "/var/lib/dpkg/status", "layerID": layer}], "language": "", "licenses": [], "cpes": [],
                         "purl": purl, "upstreams": [{"name": source}] if source != binary else []}})
    return {"matches": matches,
            "source": {"type": "image", "target": {"userInput": f"{name}:{tag}", "imageID": digest(f"{component}:{tag}/config"), "manifestDigest": digest(f"{component}:{tag}"),
                                                   "mediaType": "application/vnd.oci.image.manifest.v1+json", "tags": [f"{name}:{tag}"], "imageSize": 148203776, "layers": [],
                                                   "repoDigests": [f"{name}@{digest(f'{component}:{tag}')}"], "architecture": "amd64", "os": "linux"}},
            "distro": {"name": "debian", "version": "12", "idLike": []},
            "descriptor": {"name": "grype", "version": "0.87.0", "timestamp": at, "configuration": {"output": ["json"], "only-fixed": False, "only-notfixed": False, "ignore": None, "exclude": [], "search": {"scope": "squashed"}}}}


# --- code: forty weaknesses that the next scans of booking-api no longer show
BOOKING = "src/main/java/example/larkspur/booking/"
CODEQL_RULES = [
    ("java/sql-injection", "Query built from user-controlled sources", "8.8", "error", ["external/cwe/cwe-089", "external/cwe/cwe-564"]),
    ("java/path-injection", "Uncontrolled data used in path expression", "7.5", "error", ["external/cwe/cwe-022"]),
    ("java/xxe", "Resolving XML external entity in user-controlled data", "9.1", "error", ["external/cwe/cwe-611"]),
    ("java/insecure-cookie", "Failure to use secure cookies", "5.0", "warning", ["external/cwe/cwe-614"]),
]
BOOKING_FILES = [BOOKING + f + ".java" for f in (
    "DocumentController", "ManifestImport", "SessionFilter", "SailingController", "SailingRepository", "CabinService", "VehicleService", "PortDirectory", "VoucherMail", "ReceiptPrinter",
    "legacy/DeskImport", "legacy/DeskExport", "legacy/TariffXml", "legacy/ReportServlet", "legacy/CookieJar")]


def codeql_october():
    rng = random.Random(20261009)
    results = []
    for i in range(40):
        rule = CODEQL_RULES[1 + i % 3]
        line = 20 + 7 * i
        results.append({"ruleId": rule[0], "ruleIndex": CODEQL_RULES.index(rule), "level": rule[3], "message": {"text": "A value from outside reaches this call unchecked."},
                        "locations": [{"physicalLocation": {"artifactLocation": {"uri": BOOKING_FILES[10 + i % 5], "uriBaseId": "%SRCROOT%"}, "region": {"startLine": line, "startColumn": 9, "endColumn": 48}}}],
                        "partialFingerprints": {"primaryLocationLineHash": f"{rng.getrandbits(64):016x}:1", "primaryLocationStartColumnFingerprint": "4"}})
    for i in range(30):
        rule = CODEQL_RULES[i % 4]
        results.append({"ruleId": rule[0], "kind": "pass" if i < 24 else "notApplicable", "message": {"text": "Checked; nothing found."},
                        "locations": [{"physicalLocation": {"artifactLocation": {"uri": BOOKING_FILES[i % 10], "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 1}}}]})
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{
        "tool": {"driver": {"name": "CodeQL", "organization": "GitHub", "semanticVersion": "2.23.3", "rules": [
            {"id": i, "name": i, "shortDescription": {"text": t}, "defaultConfiguration": {"enabled": True, "level": l}, "properties": {"tags": tags + ["security"], "kind": "path-problem", "precision": "high", "security-severity": s}}
            for i, t, s, l, tags in CODEQL_RULES]}},
        "automationDetails": {"id": "/language:java-kotlin/"},
        "versionControlProvenance": [{"repositoryUri": f"https://github.com/{ORG}/booking-api", "revisionId": sha1("booking-api@main-oct"), "branch": "main"}],
        "invocations": [{"executionSuccessful": True}],
        "artifacts": [{"location": {"uri": f, "uriBaseId": "%SRCROOT%"}} for f in BOOKING_FILES],
        "columnKind": "utf16CodeUnits", "results": results}]}


WEB_FILES = [f"src/{d}/{f}.tsx" for d in ("cart", "search", "account", "shared") for f in ("View", "Form", "Banner", "List", "Row")]


def semgrep(count_warning, count_info):
    """Warnings 0..n and notes 0..n of one fixed list, so that a later scan shows a prefix of an earlier one."""
    results = []

    def add(rule, message, severity, cwe, path, line, confidence, text):
        results.append({"check_id": rule, "path": path, "start": {"line": line, "col": 5, "offset": line * 31}, "end": {"line": line, "col": 44, "offset": line * 31 + 39},
                        "extra": {"message": message, "severity": severity, "fingerprint": "requires login", "lines": text, "is_ignored": False, "validation_state": "NO_VALIDATOR", "engine_kind": "OSS",
                                  "metadata": {"cwe": [cwe], "category": "security", "confidence": confidence, "likelihood": "LOW", "impact": "LOW", "technology": ["react"], "subcategory": ["audit"]}}})

    for i in range(count_warning):
        add("typescript.react.security.audit.react-href-var.react-href-var", "A variable decides where this link goes.", "WARNING",
            "CWE-79: Improper Neutralization of Input During Web Page Generation ('Cross-site Scripting')", WEB_FILES[i % 20], 14 + 9 * i, "LOW", f"    <a href={{links.target{i}}}>")
    for i in range(count_info):
        add("javascript.lang.security.audit.unsafe-formatstring.unsafe-formatstring", "A format string is put together from a variable.", "INFO",
            "CWE-134: Use of Externally-Controlled Format String", WEB_FILES[(i * 3) % 20], 300 + 11 * i, "LOW", f"    console.log(`step {i} ${{name{i}}}`, detail);")
    return {"version": "1.97.0", "errors": [], "paths": {"scanned": WEB_FILES}, "skipped_rules": [], "results": results}


# --- infrastructure: checks that fail in October and pass in November
TERRAFORM = [("CKV_AWS_23", "Ensure every security group and rule has a description", "aws_security_group"), ("CKV_AWS_158", "Ensure that CloudWatch Log Group is encrypted by KMS", "aws_cloudwatch_log_group"),
             ("CKV_AWS_338", "Ensure CloudWatch log groups retain logs for at least 1 year", "aws_cloudwatch_log_group"), ("CKV_AWS_50", "X-Ray tracing is enabled for Lambda", "aws_lambda_function"),
             ("CKV_AWS_116", "Ensure that AWS Lambda function is configured for a Dead Letter Queue(DLQ)", "aws_lambda_function"), ("CKV_AWS_145", "Ensure that S3 buckets are encrypted with KMS by default", "aws_s3_bucket")]
AREAS = ("network", "billing", "tickets", "telemetry", "crew", "harbour", "archive", "mail", "maps", "staging")


def checkov_row(check, name, resource, file, first, severity, passed):
    return {"check_id": check, "bc_check_id": None, "check_name": name, "check_result": {"result": "PASSED" if passed else "FAILED", "evaluated_keys": []}, "code_block": [], "file_path": "/" + file,
            "file_abs_path": "/tf/" + file, "repo_file_path": "/" + file, "file_line_range": [first, first + 9], "resource": resource, "evaluations": None, "check_class": "checkov.terraform.checks.resource.aws",
            "fixed_definition": None, "entity_tags": {}, "severity": severity, "guideline": "https://docs.prismacloud.io/"}


def retired_checks(passed):
    """Fifty-eight checks that fail in October; the November reports under scans/ hold the same rows as passes."""
    return [checkov_row(check, name, f"{kind}.{area}", f"{area}/main.tf", 10 + 20 * i, None if passed else "LOW", passed)
            for area in AREAS for i, (check, name, kind) in enumerate(TERRAFORM)][:58]


def checkov_october():
    manifests = [checkov_row("CKV_AWS_20", "S3 Bucket has an ACL defined which allows public READ access.", "aws_s3_bucket.manifests", "storage/manifests.tf", 12, "HIGH", False),
                 checkov_row("CKV_AWS_18", "Ensure the S3 bucket has access logging enabled", "aws_s3_bucket.manifests", "storage/manifests.tf", 12, "LOW", False)]
    for row in manifests:
        row["file_line_range"] = [12, 16]
    passed = [checkov_row(f"CKV_AWS_{n}", "A check that passes", f"aws_s3_bucket.{area}", f"{area}/main.tf", 200, None, True) for n in (19, 21, 53, 54, 55, 56, 57) for area in AREAS]
    return {"check_type": "terraform", "results": {"passed_checks": passed, "failed_checks": manifests + retired_checks(False), "skipped_checks": [], "parsing_errors": []},
            "summary": {"passed": len(passed), "failed": 60, "skipped": 0, "parsing_errors": 0, "resource_count": 74, "checkov_version": "3.2.334"}}


PROWLER = [("cloudwatch_log_group_retention_policy_specific_days_enabled", "Log groups keep their logs for a set time", "logs", "AwsLogsLogGroup"), ("ec2_instance_detailed_monitoring_enabled", "Instances are monitored in detail", "ec2", "AwsEc2Instance")]


def prowler_rows(fail, at, stamp):
    """Twenty rows that fail in October; the November report under scans/ holds the same rows as passes."""
    out = []
    for i, area in enumerate(AREAS):
        for event, title, service, kind in PROWLER:
            arn = f"arn:aws:{service}:eu-west-1:210987654321:{'log-group:/larkspur/' + area if service == 'logs' else 'instance/i-0fa1e' + uid(area)[:12]}"
            out.append(prowler_row(event, title, "FAIL" if fail else "PASS", arn, area, kind, at, stamp))
    return out


def prowler_row(event, title, status, arn, name, kind, at, stamp):
    return {"message": f"{title}: {name}.", "metadata": {"event_code": event, "product": {"name": "Prowler", "uid": "prowler", "vendor_name": "Prowler", "version": "5.3.0"}, "profiles": ["cloud", "datetime"], "tenant_uid": "", "version": "1.4.0"},
            "severity_id": 2, "severity": "Low", "status": "New", "status_code": status, "status_detail": f"{title}: {name}.", "status_id": 1, "unmapped": {"categories": [], "compliance": {}},
            "activity_name": "Create", "activity_id": 1, "finding_info": {"created_time": at, "created_time_dt": stamp, "desc": title, "product_uid": "prowler", "title": title, "types": [], "uid": f"prowler-aws-{event}-210987654321-eu-west-1-{name}"},
            "resources": [{"cloud_partition": "aws", "region": "eu-west-1", "data": {"details": "", "metadata": {}}, "group": {"name": event.split("_")[0]}, "labels": [], "name": name, "type": kind, "uid": arn}],
            "category_name": "Findings", "category_uid": 2, "class_name": "Detection Finding", "class_uid": 2004,
            "cloud": {"account": {"name": "larkspur-prod", "type": "AWS Account", "type_id": 10, "uid": "210987654321", "labels": []}, "org": {"name": "", "uid": ""}, "provider": "aws", "region": "eu-west-1"},
            "remediation": {"desc": "", "references": []}, "risk_details": "", "time": at, "time_dt": stamp, "type_uid": 200401, "type_name": "Detection Finding: Create"}


def prowler_october():
    at, stamp = 1791626400, "2026-10-10T10:00:00"
    passes = [prowler_row("s3_bucket_default_encryption", "Buckets are encrypted by default", "PASS", f"arn:aws:s3:::larkspur-{area}", f"larkspur-{area}", "AwsS3Bucket", at, stamp) for area in AREAS * 4]
    return passes + prowler_rows(True, at, stamp)


def zap_web():
    """Low and informational alerts of the shop, each on a dozen pages and none attacked: three observations, at the bottom."""
    pages = ["/", "/search", "/cart", "/checkout", "/account", "/help", "/ports", "/deals", "/legal", "/contact", "/timetable", "/kiosk"]
    alerts = [("10021", "X-Content-Type-Options Header Missing", 1, "Low (Medium)", 693, "x-content-type-options"), ("10054", "Cookie without SameSite Attribute", 1, "Low (Medium)", 1275, "locale"),
              ("10027", "Information Disclosure - Suspicious Comments", 0, "Informational (Low)", 615, "")]
    xml = ['<?xml version="1.0"?>', '<OWASPZAPReport programName="ZAP" version="2.15.0" generated="Sat, 7 Nov 2026 23:02:17">', ' <site name="https://www.larkspur.example" host="www.larkspur.example" port="443" ssl="true">', "  <alerts>"]
    for plugin, name, code, words, cwe, param in alerts:
        xml.append(f"   <alertitem><pluginid>{plugin}</pluginid><alertRef>{plugin}</alertRef><alert>{name}</alert><name>{name}</name><riskcode>{code}</riskcode><confidence>2</confidence><riskdesc>{words}</riskdesc><desc>{name}.</desc>")
        xml.append("    <instances>")
        for page in pages:
            xml.append(f"     <instance><uri>https://www.larkspur.example{page}</uri><method>GET</method><param>{param}</param><attack></attack><evidence></evidence><otherinfo></otherinfo></instance>")
        xml.append(f"    </instances><count>{len(pages)}</count><solution></solution><reference></reference><cweid>{cwe}</cweid><wascid>15</wascid><sourceid>3</sourceid></alertitem>")
    return "\n".join(xml + ["  </alerts>", " </site>", "</OWASPZAPReport>", ""])


def falco():
    """One habit of one workload, a hundred and twenty times."""
    lines = []
    for i in range(120):
        day, hour, minute = 6 + i // 48, (i // 2) % 24, 30 * (i % 2)
        at = f"2026-11-{day:02d}T{hour:02d}:{minute:02d}:12.{i:03d}000000Z"
        lines.append(json.dumps({
            "hostname": "prod-isles-node-1", "output": f"{at[11:19]} Warning Sensitive file opened for reading by non-trusted program (file=/etc/shadow process=sh pod=kiosk-gateway-5f7c9d6b84-t2n8c)",
            "output_fields": {"container.id": "c41f7be0a2d9", "container.image.repository": f"{REGISTRY}/terminals/kiosk-gateway", "container.image.tag": "2.1.0", "container.name": "kiosk-gateway", "evt.time": at, "fd.name": "/etc/shadow",
                              "k8s.ns.name": "terminals", "k8s.pod.name": "kiosk-gateway-5f7c9d6b84-t2n8c", "proc.cmdline": "sh -c cat /etc/shadow", "proc.name": "sh", "user.name": "node"},
            "priority": "Warning", "rule": "Read sensitive file untrusted", "source": "syscall", "tags": ["T1555", "container", "filesystem", "mitre_credential_access"], "time": at}, separators=(",", ":")))
    return "\n".join(lines) + "\n"


def gitleaks():
    """One invented test token in two dozen places of fare-engine: one secret, many occurrences."""
    token = "lkspr_test_FAKE0000NOTREAL0000EXAMPLE"
    out = []
    for i in range(24):
        file, line = f"services/fare-engine/testdata/case-{i:02d}.yaml", 3 + i % 4
        commit = sha1(f"pricing-test-token-{i // 6}")
        out.append({"RuleID": "generic-api-key", "Description": "A generic API key", "StartLine": line, "EndLine": line, "StartColumn": 3, "EndColumn": 48, "Match": f'token: "{token}"', "Secret": token, "File": file, "SymlinkFile": "",
                    "Commit": commit, "Entropy": 3.4, "Author": "Isla Brae", "Email": "isla.brae@larkspur.example", "Date": "2026-07-02T10:00:00Z", "Message": "Add fare cases", "Tags": [], "Fingerprint": f"{commit}:{file}:generic-api-key:{line}"})
    return out


def main():
    for component, (_, _, tag) in IMAGES.items():
        write(f"images/{component}-{tag}.trivy.json", trivy(component, tag, "2026-10-08T02:00:00Z", DEBIAN))
        write(f"images/{component}-{tag}.grype.json", grype(component, tag, "2026-10-08T03:00:00Z", DEBIAN))
    for component, tag, at in PULL_REQUESTS:
        write(f"images/{component}-{tag}.trivy.json", trivy(component, tag, at, DEBIAN))
    write("booking-api-codeql-october.sarif", codeql_october())
    write("web-checkout-semgrep-1.json", semgrep(30, 10))
    write("web-checkout-semgrep-2.json", semgrep(16, 8))
    write("web-checkout-semgrep-3.json", semgrep(0, 6))
    write("platform-infra-checkov-october.json", checkov_october())
    write("platform-infra-prowler-october.ocsf.json", prowler_october())
    write("web-checkout-zap.xml", zap_web())
    write("prod-isles-falco.jsonl", falco())
    write("pricing-gitleaks.json", gitleaks())


if __name__ == "__main__":
    main()
