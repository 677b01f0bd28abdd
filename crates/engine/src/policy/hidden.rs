//! What `/` does not stand for in a policy: what nobody is shown of the host unless its own path is named.

/// Folders that a program has for itself: what others keep there is theirs. The caller's home is another.
pub(crate) const OF_OTHERS: [&str; 5] = ["/tmp", "/var/tmp", "/run", "/home", "/root"];

/// Secrets of the machine, where its root could read them.
pub(crate) const SECRETS: [&str; 13] = [
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/etc/wireguard",
    "/var/spool/cron",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/systemd/credential.secret",
];
