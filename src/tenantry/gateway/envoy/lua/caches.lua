-- Bounded caches: two generations, of which the older is dropped when the younger is full.  One a worker.

local function new_cache(most)
  local young, old, count = {}, {}, 0
  local cache = {}
  function cache.put(key, value)
    if young[key] == nil then
      if count >= most then young, old, count = {}, young, 0 end
      count = count + 1
    end
    young[key] = value
  end
  function cache.get(key)
    local value = young[key]
    if value ~= nil then return value end
    value = old[key]
    if value ~= nil then cache.put(key, value) end
    return value
  end
  function cache.drop(key)
    if young[key] ~= nil then young[key] = nil; count = count - 1 end
    old[key] = nil
  end
  return cache
end
