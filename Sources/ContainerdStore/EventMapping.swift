import ContentStore
import OCI
internal import SwiftProtobuf

/// What containerd's events mean to a node.
enum EventMapping {
    /// The filters of a subscription to everything that ``change(for:namespace:)`` understands.
    static func filters(namespace: String) -> [String] {
        ["/images/", "/content/"].map { "namespace==\(quoted(namespace)),topic~=\(quoted("^" + $0))" }
    }

    /// The change that an event tells of, or `nil` when it tells of none.
    ///
    /// The topic decides how the payload is read. An event on images or content that is not understood may mean
    /// anything, and so is told as ``ContentStore/StoreChange/unknown``.
    static func change(for event: Containerd_Services_Events_V1_Envelope, namespace: String) -> StoreChange? {
        guard event.namespace == namespace else { return nil }
        let payload = event.event.value
        switch event.topic {
        case "/images/create":
            return image(try? Containerd_Events_ImageCreate(serializedBytes: payload).name) { .imageUpdated(name: $0) }
        case "/images/update":
            return image(try? Containerd_Events_ImageUpdate(serializedBytes: payload).name) { .imageUpdated(name: $0) }
        case "/images/delete":
            return image(try? Containerd_Events_ImageDelete(serializedBytes: payload).name) { .imageDeleted(name: $0) }
        case "/content/create":
            guard let text = try? Containerd_Events_ContentCreate(serializedBytes: payload).digest else {
                return .unknown
            }
            // Content under a digest of an algorithm that is not supported is never listed either.
            return (try? Digest(text)).map { .contentAdded($0) }
        default:
            let isRelevant = event.topic.hasPrefix("/images/") || event.topic.hasPrefix("/content/")
            return isRelevant ? .unknown : nil
        }
    }

    private static func image(_ name: String?, _ change: (String) -> StoreChange) -> StoreChange {
        guard let name, !name.isEmpty else { return .unknown }
        return change(name)
    }

    /// A value in containerd's filter syntax, in double quotes.
    private static func quoted(_ value: String) -> String {
        var text = "\""
        for character in value {
            if character == "\"" || character == "\\" { text.append("\\") }
            text.append(character)
        }
        return text + "\""
    }
}
