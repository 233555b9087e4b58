import FoundationEssentials
import StructuredText

extension Lease {
    /// Parses the API server's object. Returns `nil` for anything but a Lease with a version.
    init?(json: [UInt8]) {
        guard let object = try? JSONDecoder().decode(JSONValue.self, from: Data(json)), object["kind"]?.text == "Lease",
            let version = object["metadata"]?["resourceVersion"]?.text
        else { return nil }
        let spec = object["spec"]
        let seconds = spec?["leaseDurationSeconds"]?.integer.flatMap { Int32(exactly: $0) }
        let record = LeaseRecord(
            holder: spec?["holderIdentity"]?.text ?? "",
            duration: seconds.map { .seconds(max($0, 0)) },
            acquireTime: spec?["acquireTime"]?.text,
            renewTime: spec?["renewTime"]?.text,
            transitions: spec?["leaseTransitions"]?.integer.flatMap { Int32(exactly: $0) } ?? 0
        )
        self.init(record: record, version: version, object: object)
    }

    /// The object with a change, for a `PUT`. Keeps all other fields, including the version.
    func json(changedBy change: LeaseChange, name: LeaseName, now: String) -> [UInt8] {
        var object = object
        object["apiVersion"] = .string(LeaseName.apiVersion)
        object["kind"] = .string("Lease")
        var metadata = object["metadata"] ?? .object([:])
        metadata["name"] = .string(name.name)
        metadata["namespace"] = .string(name.namespace)
        metadata["resourceVersion"] = .string(version)
        object["metadata"] = metadata
        var spec = object["spec"] ?? .object([:])
        if spec.isNull { spec = .object([:]) }
        change.write(into: &spec, now: now)
        object["spec"] = spec
        return Self.encode(object)
    }

    /// A new object, for a `POST`.
    static func json(creating change: LeaseChange, name: LeaseName, now: String) -> [UInt8] {
        var spec = JSONValue.object([:])
        change.write(into: &spec, now: now)
        return encode(
            .object([
                "apiVersion": .string(LeaseName.apiVersion),
                "kind": .string("Lease"),
                "metadata": .object(["name": .string(name.name), "namespace": .string(name.namespace)]),
                "spec": spec,
            ])
        )
    }

    private static func encode(_ object: JSONValue) -> [UInt8] {
        // Encoding cannot fail: the object was parsed, or has only text and whole numbers.
        (try? JSONEncoder().encode(object)).map(Array.init) ?? []
    }
}

extension LeaseChange {
    fileprivate func write(into spec: inout JSONValue, now: String) {
        spec["holderIdentity"] = .string(holder)
        spec["leaseDurationSeconds"] = .integer(duration.components.seconds)
        spec["leaseTransitions"] = .integer(Int64(transitions))
        spec["renewTime"] = .string(now)
        if !keepsAcquireTime || spec["acquireTime"]?.text == nil { spec["acquireTime"] = .string(now) }
    }
}

/// The namespace and name of a Lease.
public struct LeaseName: Hashable, Sendable, CustomStringConvertible {
    /// The namespace.
    public let namespace: String
    /// The name of the object.
    public let name: String

    static let apiVersion = "coordination.k8s.io/v1"

    /// Validates both names as the API server does. Returns `nil` for an invalid name.
    public init?(namespace: String, name: String) {
        guard Self.isLabel(namespace), name.utf8.count <= 253,
            name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy({ Self.isLabel(String($0), 253) })
        else { return nil }
        self.namespace = namespace
        self.name = name
    }

    private static func isLabel(_ text: String, _ limit: Int = 63) -> Bool {
        (1...limit).contains(text.utf8.count) && text.first != "-" && text.last != "-"
            && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }

    /// The path of the collection.
    var collectionPath: String { "/apis/\(Self.apiVersion)/namespaces/\(namespace)/leases" }

    /// `namespace/name`.
    public var description: String { "\(namespace)/\(name)" }
}
