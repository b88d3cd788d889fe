WITH dem AS (
    SELECT
        nam,
        ma_xa,
        count(*) FILTER (phan_loai = 'Hộ nghèo') AS ho_ngheo,
        count(*) FILTER (phan_loai = 'Hộ cận nghèo') AS ho_can_ngheo
    FROM giam_ngheo.ho_ngheo_can_ngheo
    GROUP BY ALL
)

SELECT
    dem.nam,
    dem.ma_xa,
    xa.so_ho AS tong_ho,
    dem.ho_ngheo,
    dem.ho_can_ngheo,
    round(100.0 * dem.ho_ngheo / xa.so_ho, 2) AS ty_le_ngheo_pct,
    round(100.0 * dem.ho_can_ngheo / xa.so_ho, 2) AS ty_le_can_ngheo_pct
FROM dem
LEFT JOIN nong_thon_moi.nuoc_sach_nong_thon AS xa USING (nam, ma_xa)
