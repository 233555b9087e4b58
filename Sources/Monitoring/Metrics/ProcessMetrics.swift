import Glibc

/// The metrics that Prometheus' client libraries call `process_*`, as the system reports them.
public enum ProcessMetrics {
    /// The families, for a ``MetricRegistry``.
    public static let families: [MetricFamily] = [
        MetricFamily("process_cpu_seconds_total", .counter, "CPU time of the process."),
        MetricFamily("process_open_fds", .gauge, "Open file descriptors."),
        MetricFamily("process_max_fds", .gauge, "Maximum number of open file descriptors."),
        MetricFamily("process_resident_memory_bytes", .gauge, "Resident memory."),
        MetricFamily("process_virtual_memory_bytes", .gauge, "Virtual memory."),
        MetricFamily(
            "process_virtual_memory_max_bytes",
            .gauge,
            "Maximum of virtual memory; 1.8446744073709552e+19 without a limit."
        ),
        MetricFamily(
            "process_network_receive_bytes_total",
            .counter,
            "Bytes of IP packets received in the network namespace of the process: with hostNetwork, of the node."
        ),
        MetricFamily(
            "process_network_transmit_bytes_total",
            .counter,
            "Bytes of IP packets sent in the network namespace of the process: with hostNetwork, of the node."
        ),
        MetricFamily("process_start_time_seconds", .gauge, "Time when the process started, in seconds since 1970."),
    ]

    /// Reads all of them; what cannot be read is left out.
    public static func collect(into metrics: inout CollectedMetrics) {
        var time = timespec()
        if clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 {
            metrics.set("process_cpu_seconds_total", to: Double(time.tv_sec) + Double(time.tv_nsec) / 1e9)
        }
        if let count = openDescriptors() { metrics.set("process_open_fds", to: count) }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            metrics.set("process_max_fds", to: Double(limit.rlim_cur))
        }
        if getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 {
            metrics.set("process_virtual_memory_max_bytes", to: Double(limit.rlim_cur))
        }
        if let octets = octets(lines(of: "/proc/self/net/netstat")) {
            metrics.set("process_network_receive_bytes_total", to: octets.received)
            metrics.set("process_network_transmit_bytes_total", to: octets.sent)
        }
        if let pages = memoryPages(firstLine(of: "/proc/self/statm")) {
            let size = Double(sysconf(Int32(_SC_PAGESIZE)))
            metrics.set("process_virtual_memory_bytes", to: Double(pages.virtual) * size)
            metrics.set("process_resident_memory_bytes", to: Double(pages.resident) * size)
        }
        if let start = startTime { metrics.set("process_start_time_seconds", to: start) }
    }

    /// The pages of a line of /proc/self/statm.
    static func memoryPages(_ line: String?) -> (virtual: Int, resident: Int)? {
        let fields = (line ?? "").split(separator: " ").prefix(2).compactMap { Int($0) }
        return fields.count == 2 ? (fields[0], fields[1]) : nil
    }

    /// The bytes of all IP packets, from the lines of /proc/self/net/netstat: a line `IpExt:` with names, and one with
    /// numbers.
    static func octets(_ lines: [String]) -> (received: Double, sent: Double)? {
        let rows = lines.filter { $0.hasPrefix("IpExt: ") }.map { $0.split(separator: " ") }
        guard rows.count == 2 else { return nil }
        func value(_ name: String) -> Double? {
            guard let place = rows[0].firstIndex(where: { $0 == name }), place < rows[1].count else { return nil }
            return UInt64(rows[1][place]).map { Double($0) }
        }
        guard let received = value("InOctets"), let sent = value("OutOctets") else { return nil }
        return (received, sent)
    }

    /// The ticks after the start of the machine at which the process started: field 22 of /proc/self/stat. The name of
    /// the program, field 2, may hold anything, so it is counted from the last parenthesis.
    static func startTicks(_ line: String?) -> Int? {
        guard let line, let end = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: end)...].split(separator: " ")
        return fields.count > 19 ? Int(fields[19]) : nil
    }

    /// Does not change, so it is read once.
    private static let startTime: Double? = {
        guard let ticks = startTicks(firstLine(of: "/proc/self/stat")) else { return nil }
        var now = timespec()
        var sinceBoot = timespec()
        guard clock_gettime(CLOCK_REALTIME, &now) == 0, clock_gettime(CLOCK_BOOTTIME, &sinceBoot) == 0 else {
            return nil
        }
        let boot = Double(now.tv_sec - sinceBoot.tv_sec) + Double(now.tv_nsec - sinceBoot.tv_nsec) / 1e9
        return boot + Double(ticks) / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
    }()

    static func openDescriptors() -> Int? {
        guard let folder = opendir("/proc/self/fd") else { return nil }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        // Less the descriptor of the folder itself.
        return count - 1
    }

    private static func firstLine(of path: String) -> String? { lines(of: path, limit: 1).first }

    private static func lines(of path: String, limit: Int = 64) -> [String] {
        guard let file = fopen(path, "re") else { return [] }
        defer { fclose(file) }
        var lines: [String] = []
        var line = [CChar](repeating: 0, count: 8192)
        while lines.count < limit, fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            lines.append(text.last == "\n" ? String(text.dropLast()) : text)
        }
        return lines
    }
}
