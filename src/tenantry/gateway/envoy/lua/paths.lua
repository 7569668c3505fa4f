-- Paths and queries: refused where the API server might read them otherwise than they are read here.

local SERVED = { api = true, apis = true, version = true, openapi = true, healthz = true, livez = true, readyz = true }

local function unescape(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Well-formed UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF.
local function is_utf8(text)
  local i, n = 1, #text
  while i <= n do
    local a, b = text:byte(i, i + 1)
    local more
    if a < 0x80 then more = 0
    elseif a >= 0xC2 and a <= 0xDF then more = 1
    elseif a >= 0xE0 and a <= 0xEF then
      more = 2
      if not b or (a == 0xE0 and b < 0xA0) or (a == 0xED and b > 0x9F) then return false end
    elseif a >= 0xF0 and a <= 0xF4 then
      more = 3
      if not b or (a == 0xF0 and b < 0x90) or (a == 0xF4 and b > 0x8F) then return false end
    else return false end
    for j = i + 1, i + more do
      local c = text:byte(j)
      if not c or c < 0x80 or c > 0xBF then return false end
    end
    i = i + more + 1
  end
  return true
end

-- The path as the API server decodes it, or nil.
local function decoded(path)
  if path:find("%%%X") or path:find("%%%x%X") or path:find("%%%x?$") then return nil end
  local plain = unescape(path)
  if plain:find("[%z\1-\31\127\\]") or plain:find("\194[\128-\159]") or not is_utf8(plain) then return nil end
  -- Escaped twice: what the API server passes on might be decoded again behind it.
  local again = plain:lower()
  if again:find("%%2[ef]") or again:find("%5c", 1, true) or again:find("%00", 1, true) then return nil end
  -- What is an escaped slash here would be a border between segments there.
  local _, sent = path:gsub("/", "")
  local _, read = plain:gsub("/", "")
  if sent ~= read then return nil end
  return plain
end

-- Returns the path as sent, the path decoded, and the query (nil if none); or nil and why not.
local function split_target(target)
  if #target > CONFIG.url_bytes then return nil, "UrlTooLong" end
  if target:byte(1) ~= 47 or target:find("[%z\1-\32\127-\255\\#]") then return nil, "PathMalformed" end
  local path, query = target, nil
  local mark = target:find("?", 1, true)
  if mark then path, query = target:sub(1, mark - 1), target:sub(mark + 1) end
  local plain = path
  if path:find("%", 1, true) then
    plain = decoded(path)
    if not plain then return nil, "PathMalformed" end
  end
  if plain:find("//", 1, true) or (plain .. "/"):find("/%.%.?/") then return nil, "PathMalformed" end
  if not SERVED[plain:match("^/([^/]+)")] then return nil, "PathUnknown" end
  return path, plain, query
end

-- Calls fn(name, value) for each parameter, decoded as net/url does; + is a blank.
local function each_parameter(query, fn)
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    if pair:find("[%%+]") then
      name, value = unescape((name:gsub("+", " "))), unescape((value:gsub("+", " ")))
    end
    fn(name, value)
  end
end

-- Whether a boolean parameter is on, as apimachinery converts it: its first value counts, and
-- anything but "false" and "0" is true.
local function is_on(query, wanted)
  if not query or not (query:find(wanted, 1, true) or query:find("%", 1, true)) then return false end
  local found
  each_parameter(query, function(name, value)
    if name == wanted and found == nil then found = value:lower() ~= "false" and value ~= "0" end
  end)
  return found == true
end

-- The query as the audit log may hold it.
local SECRETS = {
  token = true, code = true, access_token = true, id_token = true, refresh_token = true, client_secret = true,
  password = true,
}
local function audited(query)
  local parts = {}
  -- Names in any case: what reads them behind the API server's proxy may not care either.
  for pair in query:gmatch("[^&;]+") do
    local name = pair:match("^[^=]*")
    if SECRETS[unescape(name):lower()] then pair = name .. "=REDACTED" end
    parts[#parts + 1] = pair
  end
  return table.concat(parts, "&")
end
