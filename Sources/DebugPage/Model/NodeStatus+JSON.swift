public import Monitoring

extension NodeStatus: JSONRepresentable {
    /// The object of `/debug/api/status`.
    public var json: JSON {
        .members([
            "time": time, "node": node, "store": store, "peers": network,
            "images": JSON.members(["count": imageCount, "list": images]),
            "transfers": JSON.members(["count": transferCount, "list": transfers]), "totals": totals,
            "history": JSON.members(["minutes": minutes, "quarters": quarters]), "failures": failures,
        ])
    }
}

extension NodeStatus.Node: JSONRepresentable {
    package var json: JSON {
        .members([
            "peer": peerID, "version": version, "uptimeSeconds": uptime.components.seconds,
            "addresses": addresses, "registry": registry, "zone": zone, "ready": isReady, "state": state,
            "stalls": stalls,
            "leader": leader,
        ])
    }
}

extension NodeStatus.Leader: JSONRepresentable {
    package var json: JSON {
        .members(["leads": leads, "holder": holder, "transitions": transitions, "error": error])
    }
}

extension NodeStatus.Transfer.Direction: JSONRepresentable {}

extension NodeStatus.Store: JSONRepresentable {
    package var json: JSON {
        var name = "starting"
        var reason: String?
        var away: Int?
        switch state {
        case .starting: break
        case .followed: name = "followed"
        case .away(let text, let since):
            (name, reason, away) = ("away", text, Int(clamping: since.components.seconds))
        }
        return .members([
            "name": self.name, "state": name, "reason": reason, "awaySeconds": away, "outages": outages,
            "contents": contents, "tags": tags, "advertisedKeys": advertisedKeys,
            "withheldContents": withheldContents, "imagesWithoutLayers": imagesWithoutLayers,
        ])
    }
}

extension NodeStatus.Network: JSONRepresentable {
    package var json: JSON {
        .members([
            "connected": connected, "routingTable": routingTable, "providerRecords": providerRecords,
            "list": peers,
        ])
    }
}

extension NodeStatus.Peer: JSONRepresentable {
    package var json: JSON {
        .members([
            "peer": peerID, "zone": zone, "agent": agent, "connected": isConnected,
            "inRoutingTable": isInRoutingTable, "roundTripMilliseconds": roundTripTime,
            "addresses": addresses, "registries": registries,
        ])
    }
}

extension NodeStatus.Image: JSONRepresentable {
    package var json: JSON {
        .members([
            "name": name, "digest": digest, "mediaType": mediaType, "advertised": isAdvertised,
        ])
    }
}

extension NodeStatus.Transfer: JSONRepresentable {
    package var json: JSON {
        .members([
            "id": id, "kind": kind, "key": key, "registry": registry, "repository": repository,
            "direction": direction, "from": source, "to": client, "bytes": bytes, "size": size,
            "milliseconds": duration,
        ])
    }
}

extension NodeStatus.Totals: JSONRepresentable {
    package var json: JSON {
        .members([
            "hits": hits, "misses": misses, "local": local, "cutShort": cutShort, "aborted": aborted,
            "receivedBytes": receivedBytes, "sourceBytes": sourceBytes, "sentBytes": sentBytes,
            "localBytes": localBytes, "failedAttempts": failedAttempts, "hedges": hedges,
            "corruptAnswers": corruptAnswers,
        ])
    }
}

extension NodeStatus.Period: JSONRepresentable {
    package var json: JSON {
        .members([
            "time": start, "hits": hits, "misses": misses, "receivedBytes": receivedBytes,
            "sourceBytes": sourceBytes, "sentBytes": sentBytes,
        ])
    }
}

extension NodeStatus.Failure: JSONRepresentable {
    package var json: JSON {
        .members([
            "time": time, "key": key, "registry": registry, "repository": repository, "peer": peerID,
            "address": address, "reason": reason, "text": text,
        ])
    }
}
