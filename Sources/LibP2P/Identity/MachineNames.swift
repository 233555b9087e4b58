import Glibc

/// The names of a machine by which a node recognises a data folder that was copied from another machine.
///
/// Not among them is what changes on one machine, or may be the image's: the host name, and in Kubernetes the machine-id.
public struct MachineNames: Hashable, Sendable {
    /// A kind of name.
    public enum Kind: String, CaseIterable, Sendable {
        /// The name of the node in its cluster.
        case node
        /// The id of the installation of the operating system (machine-id(5)).
        case machineID = "machine-id"
        /// The id that the firmware or the hypervisor gives.
        case product = "product-uuid"
        /// The serial number of a board without such firmware.
        case serialNumber = "serial-number"
    }

    /// The maximum length of a name; longer ones are ignored.
    static let maximumLength = 256

    /// The names, by kind.
    public private(set) var names: [Kind: String] = [:]

    /// No name.
    public init() {}

    /// The names of this machine.
    ///
    /// - Parameters:
    ///   - node: The name of the node. It takes the place of the machine-id, which a pod would have from its image.
    ///   - root: The folder of the system's files, without a slash at its end.
    public init(node: String?, root: String = "") {
        if let node { set(.node, node) } else { set(.machineID, Self.read(root + "/etc/machine-id")) }
        set(.product, Self.read(root + "/sys/class/dmi/id/product_uuid"))
        set(.serialNumber, Self.read(root + "/proc/device-tree/serial-number"))
    }

    /// Reads what ``text`` wrote; ignores other lines.
    public init(text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            guard words.count == 2, let kind = Kind(rawValue: String(words[0])) else { continue }
            set(kind, String(words[1]))
        }
    }

    /// One line for each name.
    public var text: String {
        Kind.allCases.compactMap { kind in names[kind].map { "\(kind.rawValue) \($0)\n" } }.joined()
    }

    /// The first name that two machines both have, and that differs.
    public func difference(from other: MachineNames) -> Kind? {
        Kind.allCases.first { kind in
            guard let name = names[kind], let otherName = other.names[kind] else { return false }
            return name != otherName
        }
    }

    private mutating func set(_ kind: Kind, _ value: String?) {
        // Some firmware has an id of zeros or ones only, and systemd has a word for an id that is not set yet.
        guard let name = value?.lowercased().filter({ $0 > " " && $0 != "\u{7f}" }),
            !name.isEmpty, name.utf8.count <= Self.maximumLength, name != "uninitialized",
            kind == .node || Set(name.filter { $0 != "-" }).count > 1
        else { return }
        names[kind] = name
    }

    private static func read(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: maximumLength + 1)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(decoding: bytes.prefix(count).filter { $0 != 0 }, as: UTF8.self)
    }
}
