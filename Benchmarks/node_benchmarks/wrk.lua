-- Requests the paths of a file in turn, or ever new keys; prints the result as one line of JSON.
local requests = {}
local number = 0

function init(arguments)
   math.randomseed(tonumber(arguments[2]))
   if arguments[1] == "new" then
      request = function()
         local parts = {}
         for i = 1, 8 do parts[i] = string.format("%08x", math.random(0, 4294967295)) end
         return wrk.format("GET", (arguments[3]:gsub("DIGEST", table.concat(parts))))
      end
      return
   end
   for line in io.lines(arguments[1]) do requests[#requests + 1] = wrk.format("GET", line) end
   request = function()
      number = number % #requests + 1
      return requests[number]
   end
end

function done(summary, latency)
   local errors = summary.errors
   print(string.format(
      '{"requests": %d, "microseconds": %d, "p50": %g, "p99": %g, "above399": %d, "broken": %d}',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
      errors.connect + errors.read + errors.write + errors.timeout))
end
