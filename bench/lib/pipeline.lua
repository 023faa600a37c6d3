-- Sixteen requests at a time: they cost the client little and the proxy what they always do.
local together

init = function()
    local requests = {}
    for i = 1, 16 do
        requests[i] = wrk.format(nil, "/")
    end
    together = table.concat(requests)
end

request = function()
    return together
end
