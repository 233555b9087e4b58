import CNameService

/// The sources of host names.
enum NameService {
    /// Restricts lookups of host names to `/etc/hosts` and DNS, whatever `/etc/nsswitch.conf` says.
    ///
    /// The release binary contains glibc. The other services of that file are libraries of the machine, built for the
    /// machine's own glibc. A local resolver such as systemd-resolved still works: `/etc/resolv.conf` names it.
    static func useHostsFileAndDNS() {
        _ = __nss_configure_lookup("hosts", "files dns")
    }
}
