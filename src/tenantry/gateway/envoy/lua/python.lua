-- Calls to Python.  Each yields: what was got from the handle before is dead afterwards.

local KNOWN_MILLISECONDS = 2000
local UNKNOWN_MILLISECONDS = 10000
local RETRY_SECONDS = 1

-- Returns headers and body of Python's own answer, or nil where the way to it failed.
local function ask(handle, path, message, milliseconds)
  local headers, body = handle:httpCall(CONFIG.python, {
    [":method"] = "POST",
    [":path"] = path,
    [":authority"] = CONFIG.cluster,
    ["content-type"] = "text/plain",
    ["x-tenantry-secret"] = CONFIG.secret,
  }, message, milliseconds)
  if not headers or headers["x-tenantry-answer"] == nil then return nil end
  return headers, body or ""
end

-- Reads lines: those about the message by name, and the others as a list of pairs and as text.
-- :real-group, the one that may come repeatedly, is a list of its own.
local function read_lines(body)
  local about, pairs_, n, raw, real_groups = {}, {}, 0, "", {}
  for line in body:gmatch("[^\n]+") do
    local name, value = line:match("^(.[^:]*): (.*)$")
    if name == nil then error("not a line") end
    if name == ":real-group" then real_groups[#real_groups + 1] = value
    elseif name:byte(1) == 58 then about[name:sub(2)] = value
    else
      n = n + 1
      pairs_[n] = { name, value }
      raw = raw .. line .. "\n"
    end
  end
  return about, pairs_, raw, real_groups
end

local function now_seconds(handle) return handle:timestamp() / 1000 end
