//! Lists of domains by name: what the common package managers reach.

/// The hosts of a preset; nothing for a name that is none.
///
/// # Source
/// - `cargo`: `index.crates.io/config.json` gives `dl` as `static.crates.io` and `api` as `crates.io`
///   (`JFrog`, "Allowlist for Artifactory Cargo Remote Repository" shows that file; The Cargo Book,
///   "Registry Index", says what its keys are).
///   `static.rust-lang.org` is where rustup takes toolchains from (The rustup book, `RUSTUP_DIST_SERVER`).
/// - `npm`: `registry.npmjs.org` is npm's default `registry` (npm docs, config) and also serves the
///   tarballs. `registry.yarnpkg.com` is Yarn's default, an alias of it (Yarn docs, `npmRegistryServer`).
/// - `pypi`: `pypi.org` for the index and `files.pythonhosted.org` for the files (`PyPI` docs, "Index API":
///   the URLs of files are to be taken from the index, which gives that host).
/// - `go`: `GOPROXY` is `https://proxy.golang.org,direct` and `GOSUMDB` is `sum.golang.org` by default
///   (Go Modules Reference). The proxy sends the `go` command to `storage.googleapis.com` for some
///   archives (golang/go issue 52908). That is everybody's storage, and is not in this list: who needs
///   it lists it himself.
/// - `github`: GitHub Docs, "Communicating with self-hosted runners", lists `github.com`, `api.github.com`,
///   `codeload.github.com` for archives, `*.githubusercontent.com` for raw files and releases.
///   Whoever may write to GitHub can send data there: an account is not a domain.
/// - `debian`: `deb.debian.org` for packages and, since Debian 11, for security updates too
///   (`security.debian.org` before and in images: sources.list(5), Debian wiki, "`SourcesList`").
pub fn preset(name: &str) -> Option<&'static [&'static str]> {
    presets().iter().find(|(known, _)| *known == name).map(|(_, hosts)| *hosts)
}

/// All presets: names and hosts.
pub fn presets() -> &'static [(&'static str, &'static [&'static str])] {
    &[
        ("cargo", &["crates.io", "index.crates.io", "static.crates.io", "static.rust-lang.org"]),
        ("debian", &["deb.debian.org", "security.debian.org"]),
        (
            "github",
            &["api.github.com", "codeload.github.com", "github.com", "*.githubusercontent.com"],
        ),
        ("go", &["proxy.golang.org", "sum.golang.org"]),
        ("npm", &["registry.npmjs.org", "registry.yarnpkg.com"]),
        ("pypi", &["files.pythonhosted.org", "pypi.org"]),
    ]
}
