import Time

/// Events in order of time: a binary heap with logarithmic insertion and removal.
struct TimerQueue<Event: Sendable>: Sendable {
    private struct Entry: Sendable {
        var time: MonotonicTime
        /// The sequence number, which orders events of one time.
        var number: UInt64
        var event: Event

        func precedes(_ other: Entry) -> Bool {
            time == other.time ? number < other.number : time < other.time
        }
    }

    private var heap: [Entry] = []
    private var lastNumber: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }

    /// The earliest event and its time.
    var first: (time: MonotonicTime, event: Event)? { heap.first.map { ($0.time, $0.event) } }

    mutating func add(_ event: Event, at time: MonotonicTime) {
        lastNumber &+= 1
        heap.append(Entry(time: time, number: lastNumber, event: event))
        var index = heap.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard heap[index].precedes(heap[parent]) else { return }
            heap.swapAt(index, parent)
            index = parent
        }
    }

    /// Removes the earliest event.
    mutating func removeFirst() {
        guard let last = heap.popLast(), !heap.isEmpty else { return }
        heap[0] = last
        var index = 0
        while true {
            var least = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                if heap[child].precedes(heap[least]) { least = child }
            }
            guard least != index else { return }
            heap.swapAt(index, least)
            index = least
        }
    }

    /// Checks the order of the heap.
    ///
    /// - Returns: what does not hold; `nil` if all does. Takes linear time.
    func checkInvariants() -> String? {
        for index in heap.indices.dropFirst() where heap[index].precedes(heap[(index - 1) / 2]) {
            return "timers: the event at \(index) comes before its parent"
        }
        return nil
    }

    /// The events in no particular order.
    var all: [(time: MonotonicTime, event: Event)] { heap.map { ($0.time, $0.event) } }
}
