/// Events in order of time: a binary heap, so that adding and taking one take logarithmic time.
struct TimerQueue<Event: Sendable>: Sendable {
    private struct Entry: Sendable {
        var time: MonotonicTime
        var event: Event
    }

    private var heap: [Entry] = []

    var isEmpty: Bool { heap.isEmpty }

    /// The earliest event and its time.
    var first: (time: MonotonicTime, event: Event)? { heap.first.map { ($0.time, $0.event) } }

    mutating func add(_ event: Event, at time: MonotonicTime) {
        heap.append(Entry(time: time, event: event))
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard heap[index].time < heap[parent].time else { return }
            heap.swapAt(index, parent)
            index = parent
        }
    }

    /// Takes the earliest event.
    mutating func removeFirst() {
        guard let last = heap.popLast(), !heap.isEmpty else { return }
        heap[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                if heap[child].time < heap[least].time { least = child }
            }
            guard least != index else { return }
            heap.swapAt(index, least)
            index = least
        }
    }
}
