-- How to answer what depends on visibility: Python's word, remembered for a second or so.

local verdicts = new_cache(20000)
local ROUTES = { upstream = true, python = true, own = true }

local function new_verdict(body, now)
  local about, headers = read_lines(body)
  if not ROUTES[about.route] then error("a verdict without a route") end
  for i = 1, #headers do
    if headers[i][1] ~= "impersonate-group" then error("not a verdict's line") end
  end
  return {
    route = about.route, headers = headers,
    fresh = now + (tonumber(about.fresh) or 1), stale = now + CONFIG.stale_seconds,
  }
end

-- Returns the verdict, or nil after the request was answered.
local function verdict_on(handle, facts, identity, request)
  -- The same user may come with a token that the API server accepts, and with one that it does not.
  local kind = (identity.own and "o" or "") .. (facts.verb == "watch" and "w" or "")
  local key = identity.id .. "\n" .. kind .. "\n" .. request.method .. "\n" .. request.path
  local now = now_seconds(handle)
  local held = verdicts.get(key)
  if held and now < held.fresh then return held end
  local message = ":id: " .. identity.id .. "\n:method: " .. request.method .. "\n:path: " .. request.target .. "\n"
  if identity.own then message = message .. ":own: 1\n" end
  if request.accept then message = message .. ":accept: " .. request.accept .. "\n" end
  local headers, body = ask(handle, "/_tenantry/verdict", message .. identity.raw,
    held and KNOWN_MILLISECONDS or UNKNOWN_MILLISECONDS)
  now = now_seconds(handle)
  if headers and headers[":status"] == "200" then
    local verdict = new_verdict(body, now)
    if now < verdict.fresh then verdicts.put(key, verdict) else verdicts.drop(key) end
    return verdict
  end
  if not headers and held and held.route == "upstream" and now < held.stale then
    held.fresh = now + RETRY_SECONDS
    return held
  end
  if headers then
    verdicts.drop(key)
    relay_answer(handle, facts, headers, body)
  else
    refuse(handle, facts, 503, "ServiceUnavailable", "the gateway can not tell just now what you may see: try again",
      "VerdictUnavailable")
  end
  return nil
end
