import FoundationEssentials
import StructuredText

/// The namespace and name of a DaemonSet.
public struct DaemonSetName: Hashable, Sendable, CustomStringConvertible {
    /// The namespace.
    public let namespace: String
    /// The name of the object.
    public let name: String

    /// Validates both names. Returns `nil` for names that the API server does not allow.
    public init?(namespace: String, name: String) {
        // The rules are those of a Lease's names.
        guard LeaseName(namespace: namespace, name: name) != nil else { return nil }
        self.namespace = namespace
        self.name = name
    }

    /// `NAMESPACE/NAME`.
    public var description: String { "\(namespace)/\(name)" }
}

/// The progress of a DaemonSet: the number of nodes that it selects, and of those that are ready.
struct DaemonSetProgress: Hashable {
    /// The number of nodes that are to have a pod; `nil` while the controller has not counted them.
    var desired: Int?
    /// The number of nodes with a ready pod.
    var ready: Int
    /// The labels of its pods, as a selector.
    var selector: String

    /// Parses the API server's object. Returns `nil` for anything but a DaemonSet with a selector.
    init?(json: [UInt8]) {
        guard let object = try? JSONDecoder().decode(JSONValue.self, from: Data(json)),
            case .object(let labels)? = object["spec"]?["selector"]?["matchLabels"], !labels.isEmpty
        else { return nil }
        let pairs = labels.compactMap { key, value in value.text.map { "\(key)=\($0)" } }
        guard pairs.count == labels.count else { return nil }
        selector = pairs.sorted().joined(separator: ",")
        let status = object["status"]
        let generation = object["metadata"]?["generation"]?.integer ?? 0
        let isCounted = (status?["observedGeneration"]?.integer ?? 0) >= max(1, generation)
        desired = isCounted ? status?["desiredNumberScheduled"]?.integer.flatMap { Int(exactly: $0) } : nil
        ready = isCounted ? status?["numberReady"]?.integer.flatMap { Int(exactly: $0) } ?? 0 : 0
    }
}

/// A pod of a DaemonSet.
public struct DaemonSetPod: Hashable, Sendable {
    /// The name of its node.
    public var node: String
    /// The address, once it has one.
    public var address: String?
    /// Whether its readiness probe succeeds.
    public var isReady: Bool
    /// What keeps it from running, in Kubernetes' words, such as `ImagePullBackOff`.
    public var waitsFor: String?

    /// Creates a pod.
    public init(node: String, address: String?, isReady: Bool, waitsFor: String? = nil) {
        self.node = node
        self.address = address
        self.isReady = isReady
        self.waitsFor = waitsFor
    }

    /// Parses an item of a list. Returns `nil` for a pod without a node, and for one that has ended or is being deleted.
    init?(_ object: JSONValue) {
        let status = object["status"]
        guard let node = object["spec"]?["nodeName"]?.text, !node.isEmpty,
            object["metadata"]?["deletionTimestamp"]?.text == nil,
            !["Failed", "Succeeded"].contains(status?["phase"]?.text ?? "")
        else { return nil }
        let conditions = status?["conditions"]?.items ?? []
        let containers = status?["containerStatuses"]?.items ?? []
        self.init(
            node: node,
            address: status?["podIP"]?.text.flatMap { $0.isEmpty ? nil : $0 },
            isReady: conditions.contains { $0["type"]?.text == "Ready" && $0["status"]?.text == "True" },
            waitsFor: containers.lazy.compactMap { $0["state"]?["waiting"]?["reason"]?.text }.first
        )
    }
}
