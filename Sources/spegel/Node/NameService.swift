import CNameService

/// How this program looks up host names.
enum NameService {
    /// Has host names looked up in `/etc/hosts` and by DNS alone, whatever `/etc/nsswitch.conf` says.
    ///
    /// The release program has glibc in it. The other services of that file are libraries which it would load from the
    /// machine, made for the glibc of that machine and not for this one. A local resolver such as systemd-resolved is
    /// still asked: `/etc/resolv.conf` names it.
    static func useHostsFileAndDNS() {
        _ = __nss_configure_lookup("hosts", "files dns")
    }
}
