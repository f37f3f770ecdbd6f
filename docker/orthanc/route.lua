-- Send each MR series that came whole to the node, but not what the node has made.
function OnStableSeries(series, tags, metadata)
   if tags['Modality'] == 'MR' and metadata['RemoteAET'] ~= 'INVERSESR' then
      local order = { Resources = { series }, Synchronous = false }
      RestApiPost('/modalities/inversesr/store', DumpJson(order))
   end
end
