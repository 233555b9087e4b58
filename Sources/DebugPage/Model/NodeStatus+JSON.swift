public import Monitoring

extension NodeStatus {
    /// The object of `/debug/api/status`.
    public var json: JSON {
        .object([
            ("time", .number(time)),
            ("node", node.json),
            ("store", store.json),
            ("peers", network.json),
            ("images", .object([("count", .integer(imageCount)), ("list", .array(images.map(\.json)))])),
            ("transfers", .object([("count", .integer(transferCount)), ("list", .array(transfers.map(\.json)))])),
            ("totals", totals.json),
            (
                "history",
                .object([
                    ("minutes", .array(minutes.map(\.json))), ("quarters", .array(quarters.map(\.json))),
                ])
            ),
            ("failures", .array(failures.map(\.json))),
        ])
    }
}

extension NodeStatus.Node {
    fileprivate var json: JSON {
        .object([
            ("peer", .string(peerID)), ("version", .string(version)),
            ("uptimeSeconds", .integer(Int(clamping: uptime.components.seconds))),
            ("addresses", .strings(addresses)), ("registry", .string(registry)), ("zone", .optional(zone)),
            ("ready", .bool(isReady)), ("state", .string(state)), ("stalls", .strings(stalls)),
            (
                "leader",
                leader.map { leader in
                    .object([
                        ("leads", .bool(leader.leads)), ("holder", .optional(leader.holder)),
                        ("transitions", .integer(leader.transitions)), ("error", .optional(leader.error)),
                    ])
                } ?? .null
            ),
        ])
    }
}

extension NodeStatus.Store {
    fileprivate var json: JSON {
        var name = "starting"
        var reason: String?
        var away: Int?
        switch state {
        case .starting: break
        case .followed: name = "followed"
        case .away(let text, let since):
            (name, reason, away) = ("away", text, Int(clamping: since.components.seconds))
        }
        return .object([
            ("name", .string(self.name)), ("state", .string(name)), ("reason", .optional(reason)),
            ("awaySeconds", .optional(away)), ("outages", .integer(outages)), ("contents", .integer(contents)),
            ("tags", .integer(tags)), ("advertisedKeys", .integer(advertisedKeys)),
            ("withheldContents", .integer(withheldContents)), ("imagesWithoutLayers", .integer(imagesWithoutLayers)),
        ])
    }
}

extension NodeStatus.Network {
    fileprivate var json: JSON {
        .object([
            ("connected", .integer(connected)), ("routingTable", .integer(routingTable)),
            ("providerRecords", .integer(providerRecords)), ("list", .array(peers.map(\.json))),
        ])
    }
}

extension NodeStatus.Peer {
    fileprivate var json: JSON {
        .object([
            ("peer", .string(peerID)), ("zone", .optional(zone)), ("agent", .optional(agent)),
            ("connected", .bool(isConnected)), ("inRoutingTable", .bool(isInRoutingTable)),
            ("roundTripMilliseconds", .optional(roundTripTime)), ("addresses", .strings(addresses)),
            ("registries", .strings(registries)),
        ])
    }
}

extension NodeStatus.Image {
    fileprivate var json: JSON {
        .object([
            ("name", .string(name)), ("digest", .optional(digest)), ("mediaType", .optional(mediaType)),
            ("advertised", .bool(isAdvertised)),
        ])
    }
}

extension NodeStatus.Transfer {
    fileprivate var json: JSON {
        .object([
            ("id", .string(id)), ("kind", .string(kind)), ("key", .string(key)), ("registry", .optional(registry)),
            ("repository", .string(repository)), ("direction", .string(direction.rawValue)),
            ("from", .optional(source)), ("to", .optional(client)), ("bytes", .integer(Int(clamping: bytes))),
            ("size", .optional(size.map { Int(clamping: $0) })), ("milliseconds", .number(duration.milliseconds)),
        ])
    }
}

extension NodeStatus.Totals {
    fileprivate var json: JSON {
        .object([
            ("hits", .integer(hits)), ("misses", .integer(misses)), ("local", .integer(local)),
            ("cutShort", .integer(cutShort)), ("aborted", .integer(aborted)),
            ("receivedBytes", .integer(receivedBytes)), ("sentBytes", .integer(sentBytes)),
            ("localBytes", .integer(localBytes)), ("failedAttempts", .integer(failedAttempts)),
            ("hedges", .integer(hedges)), ("corruptAnswers", .integer(corruptAnswers)),
        ])
    }
}

extension NodeStatus.Period {
    fileprivate var json: JSON {
        .object([
            ("time", .integer(start)), ("hits", .integer(hits)), ("misses", .integer(misses)),
            ("receivedBytes", .integer(Int(clamping: receivedBytes))),
            ("sentBytes", .integer(Int(clamping: sentBytes))),
        ])
    }
}

extension NodeStatus.Failure {
    fileprivate var json: JSON {
        .object([
            ("time", .number(time)), ("key", .string(key)), ("registry", .optional(registry)),
            ("repository", .string(repository)), ("peer", .optional(peerID)), ("address", .optional(address)),
            ("reason", .string(reason)), ("text", .string(text)),
        ])
    }
}
