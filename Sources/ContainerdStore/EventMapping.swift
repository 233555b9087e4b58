import ContentStore
import OCI
internal import SwiftProtobuf

/// Maps containerd's events to changes of the store.
enum EventMapping {
    /// The filters of a subscription to all events that ``change(for:namespace:)`` maps.
    static func filters(namespace: String) -> [String] {
        ["/images/", "/content/"].map { "namespace==\(quoted(namespace)),topic~=\(quoted("^" + $0))" }
    }

    /// The change of an event, or `nil` when the event changes nothing here.
    ///
    /// The topic selects the payload's type. A malformed event on images or content may mean anything, so it becomes
    /// ``ContentStore/StoreChange/unknown``.
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
            // Listings omit content with unsupported digests, too.
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
